"""All declarations, by looking into every module of the package."""

import pkgutil
from importlib import import_module

from prometheus_client.metrics import MetricWrapperBase

from actors import metrics
from actors.metrics.declaration import Metric

DECLARED: list[Metric[MetricWrapperBase]] = [
    each
    for module in pkgutil.iter_modules(metrics.__path__, "actors.metrics.")
    for each in vars(import_module(module.name)).values()
    if isinstance(each, Metric)
]
