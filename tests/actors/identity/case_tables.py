"""Every row of the strategy case tables (spec/identity.md, Strategy case tables), as text.

A step is what is called and what is to be answered:

    login cid:c1 das:d1 prev:A -> N; cid das; logged in

The answer is a record's letter, what was matched, and whether the user is logged in. A letter that
was not seen before stands for a new MPID. A refusal is a status with a word of its message; of a
modify the answer has the changed records in order. The last text lists the records that have
changed; `N{das:d1}<A` has the source A.
"""

from msgspec.structs import replace

from actors.identity.state import IdentityRules
from tests.actors.identity.pool import (
    BEST_MATCH,
    CONVERSION,
    DEFAULT,
    IMMUTABLE,
    ISOLATION,
    LINK,
)

STRICT = replace(IMMUTABLE, search_requires_immutable=True)
LOGGED_IN = "logged in"

TABLES: dict[str, tuple[IdentityRules, str, list[str], str]] = {
    # -- Default ----------------------------------------------------------------------------------
    "D1": (DEFAULT, "", ["identify das:d1 -> N;"], "N{das:d1}"),
    "D2": (DEFAULT, "A{das:d1}", ["identify das:d1 -> A; das"], ""),
    "D3": (
        DEFAULT,
        "A{das:d1}",
        ["login cid:c1 das:d1 -> A; das; logged in"],
        "A{cid:c1,das:d1}",
    ),
    "D4": (DEFAULT, "K{cid:c1,das:d1}", ["identify das:d1 -> N;"], "N{das:d1}"),
    "D5": (
        DEFAULT,
        "K{cid:c1,em:e1}",
        ["identify em:e1 -> N;", "identify em:e1 -> N; em"],
        "N{em:e1}",
    ),
    "D6": (
        DEFAULT,
        "K{cid:c1,das:d1}",
        ["login cid:c1 das:d2 -> K; cid; logged in"],
        "K{cid:c1,das:d1,das:d2}",
    ),
    "D7": (
        DEFAULT,
        "K{cid:c1,das:d1}, A{das:d1}",
        ["login cid:c2 das:d1 -> A; das; logged in"],
        "A{cid:c2,das:d1}",
    ),
    "D8": (
        DEFAULT,
        "K{cid:c1,das:d1}",
        ["login cid:c2 das:d1 -> N; ; logged in"],
        "N{cid:c2,das:d1}",
    ),
    "D9": (DEFAULT, "K{cid:c1,das:d1}, A{das:d1}", ["logout das:d1 -> N;"], "N{das:d1}"),
    "D10": (DEFAULT, "A{das:d1}, B{das:d1}", ["identify das:d1 -> B; das"], ""),
    "D11": (DEFAULT, "A{das:d1}, B{das:d1}", ["identify das:d1 prev:A -> A; das"], ""),
    "D12": (
        DEFAULT,
        "K{cid:c1,em:e1}",
        ["login cid:c1 em:e2 -> K; cid; logged in"],
        "K{cid:c1,em:e1,em:e2}",
    ),
    "D13": (DEFAULT, "K{cid:c1}", ["modify K cid:c1>c2 -> 400 immutable"], ""),
    "D14": (DEFAULT, "K{cid:c1}", ["modify K em:>e3 cid:c1> -> 400 immutable"], ""),
    "D15": (
        DEFAULT,
        "K{cid:c1,das:d1}",
        [
            "search das:d1 -> 404 not found",
            "search cid:c9 -> 404 not found",
            "search cid:c1 -> K; cid; logged in",
        ],
        "",
    ),
    "D16": (
        DEFAULT,
        "A{das:d1}",
        ["login cid:c1 das:d9 prev:A -> A; ; logged in"],
        "A{cid:c1,das:d1,das:d9}",
    ),
    "D17": (DEFAULT, "K{cid:c1,das:d1}", ["logout cid:c1 das:d1 -> N;"], "N{das:d1}"),
    "D18": (DEFAULT, "K{cid:c1,das:d1}", ["logout cid:c1 -> 400 is empty"], ""),
    "D19": (DEFAULT, "A{das:d1}", ["login em:e1 das:d1 -> A; das"], "A{em:e1,das:d1}"),
    # -- Profile conversion -----------------------------------------------------------------------
    "C1": (CONVERSION, "K{cid:c1,em:e1,das:d1}", ["identify em:e1 -> K; em; logged in"], ""),
    "C2": (
        CONVERSION,
        "K1{cid:c1}, K2{em:e1}",
        ["login cid:c1 em:e1 -> K1; cid; logged in"],
        "",
    ),
    "C3": (
        CONVERSION,
        "K{cid:c1,em:e1}",
        ["login cid:c1 em:e2 -> K; cid; logged in", "search em:e1 -> 404 not found"],
        "K{cid:c1,em:e2}",
    ),
    "C4": (
        CONVERSION,
        "K{cid:c1,em:e1}",
        ["login cid:c2 em:e1 -> K; em; logged in", "search cid:c2 -> 404 not found"],
        "",
    ),
    "C5": (
        CONVERSION,
        "K{cid:c1,em:e1}, F{em:e2}",
        [
            "modify K em:e1>e2 -> em K, em F",
            "search em:e1 -> 404 not found",
            "search em:e2 -> K; em; logged in",
        ],
        "K{cid:c1,em:e2}, F{}",
    ),
    "C6": (
        CONVERSION,
        "A{das:d1}",
        ["identify cid:c1 das:d1 -> A; das; logged in"],
        "A{cid:c1,das:d1}",
    ),
    "C7": (CONVERSION, "", ["batch em:e9 -> N; ; logged in"], "N{em:e9}"),
    "C8": (CONVERSION, "A{das:d1}", ["login das:d1 -> A; das"], ""),
    "C9": (
        CONVERSION,
        "A{das:d1}, B{idfv:v1}",
        ["login cid:c1 idfv:v1 das:d1 -> B; idfv; logged in"],
        "B{cid:c1,idfv:v1,das:d1}",
    ),
    "C10": (
        CONVERSION,
        "K{cid:c1,das:d1}",
        ["modify K cid:c1> -> cid K", "identify das:d1 -> K; das"],
        "K{das:d1}",
    ),
    "C11": (
        CONVERSION,
        "K{cid:c1,em:e1,das:d1}",
        ["identify das:d1 -> N;", "identify das:d1 -> N; das"],
        "N{das:d1}",
    ),
    "C12": (
        CONVERSION,
        "A{oth:o1,das:d1}, K{em:e1}",
        ["login em:e1 oth:o1 das:d1 -> K; em; logged in"],
        "K{em:e1,oth:o1,das:d1}",
    ),
    "C13": (
        CONVERSION,
        "K{em:e1}",
        ["login cid:c1 em:e1 -> K; em; logged in"],
        "K{cid:c1,em:e1}",
    ),
    "C14": (CONVERSION, "K{cid:c1,em:e1}", ["modify K em:zzz>e2 -> em K"], "K{cid:c1,em:e2}"),
    "C15": (CONVERSION, "K{cid:c1,em:e1}", ["modify K em:zzz> -> em K"], ""),
    "C journey": (
        CONVERSION,
        "",
        [
            "identify idfv:v1 -> P1;",
            "login cid:c1 em:e1 idfv:v1 -> P1; idfv; logged in",
            "logout idfv:v1 -> P2;",
            "batch em:h -> P3; ; logged in",
            "login cid:c1 em:e1 idfv:v1 -> P1; cid em idfv; logged in",
            "modify P1 em:e1>h -> em P1, em P3",
            "identify rk:r1 -> P4;",
            "login cid:c1 em:h rk:r1 -> P1; cid em; logged in",
        ],
        "P1{cid:c1,em:h,idfv:v1,rk:r1}, P2{idfv:v1}, P3{}, P4{rk:r1}",
    ),
    # -- Conversion with an immutable customer ID -------------------------------------------------
    "G1": (IMMUTABLE, "K{cid:c1,em:e1}", ["identify em:e1 -> 400 No profile"], ""),
    "G2": (IMMUTABLE, "K{cid:c1,em:e1}", ["identify em:e1 das:d1 -> N;"], "N{das:d1}"),
    "G3": (IMMUTABLE, "K{cid:c1,em:e1}", ["login cid:c2 em:e1 -> N; ; logged in"], "N{cid:c2}"),
    "G4": (
        IMMUTABLE,
        "K{cid:c1,em:e1}, J{em:e2}",
        ["search em:e1 -> 404 not found", "search em:e2 -> J; em; logged in"],
        "",
    ),
    "G5": (
        STRICT,
        "K{cid:c1,em:e1}, J{em:e2}",
        ["search em:e2 -> 404 not found", "search cid:c1 -> K; cid; logged in"],
        "",
    ),
    "G6": (
        IMMUTABLE,
        "J{em:e2}",
        ["modify J cid:>c5 -> cid J", "modify J cid:c5>c6 -> 400 immutable"],
        "J{cid:c5,em:e2}",
    ),
    "G7": (IMMUTABLE, "J{em:e2}, K{cid:c1}", ["modify J cid:>c1 -> 400 immutable"], ""),
    # -- Profile link -----------------------------------------------------------------------------
    "L1": (
        LINK,
        "A{das:d1}",
        [
            "login cid:c1 das:d1 prev:A -> N; ; logged in",
            "login cid:c1 das:d1 prev:A -> N; cid das; logged in",
        ],
        "N{cid:c1,das:d1}<A",
    ),
    "L2": (
        LINK,
        "A{das:d1}",
        ["identify cid:c1 das:d1 -> N; ; logged in"],
        "N{cid:c1,das:d1}<A",
    ),
    "L3": (
        LINK,
        "K{cid:c1,das:d1}, A{das:d1}",
        [
            "login cid:c1 das:d1 -> K; cid das; logged in",
            "logout das:d1 -> N;",
            "identify das:d1 -> N; das",
        ],
        "N{das:d1}",
    ),
    "L4": (LINK, "K{em:e1}", ["login cid:c1 em:e1 -> K; em; logged in"], "K{cid:c1,em:e1}"),
    "L5": (LINK, "A{das:d1}", ["identify das:d1 -> A; das", "login das:d1 -> A; das"], ""),
    "L6": (
        LINK,
        "A{oth:o1}",
        ["login cid:c1 oth:o1 -> N; ; logged in"],
        "N{cid:c1,oth:o1}<A",
    ),
    "L7": (
        LINK,
        "K{cid:c1,das:d1}",
        ["login cid:c2 das:d1 -> N; ; logged in"],
        "N{cid:c2,das:d1}",
    ),
    "L8": (LINK, "A{das:d1}", ["batch cid:c1 das:d1 -> N; ; logged in"], "N{cid:c1,das:d1}<A"),
    "L9": (
        LINK,
        "K{cid:c1,em:e1}, F{em:e2}",
        ["modify K em:e1>e2 -> em K, em F"],
        "K{cid:c1,em:e2}, F{}",
    ),
    "L journey": (
        LINK,
        "",
        [
            "identify idfv:v1 -> P1;",
            "login cid:c1 em:e1 idfv:v1 -> P2; ; logged in",
            "logout idfv:v1 -> P3;",
            "batch em:h -> P4; ; logged in",
            "login cid:c1 em:e1 idfv:v1 -> P2; cid em idfv; logged in",
            "modify P2 em:e1>h -> em P2, em P4",
            "identify rk:r1 -> P5;",
            "login cid:c1 em:h rk:r1 -> P2; cid em; logged in",
        ],
        "P1{idfv:v1}, P2{cid:c1,em:h,idfv:v1,rk:r1}<P1, P3{idfv:v1}, P4{}, P5{rk:r1}",
    ),
    # -- Profile isolation ------------------------------------------------------------------------
    "I1": (
        ISOLATION,
        "A{das:d1}",
        [
            "login cid:c1 das:d1 -> N; ; logged in",
            "logout das:d1 -> A; das",
            "login cid:c1 das:d1 -> N; cid das; logged in",
        ],
        "N{cid:c1,das:d1}",
    ),
    "I2": (
        ISOLATION,
        "K{cid:c1,das:d1}",
        ["logout das:d1 -> N;", "logout das:d1 -> N; das"],
        "N{das:d1}",
    ),
    "I3": (ISOLATION, "A{das:d1}", ["login das:d1 -> 400 missing the login identity"], ""),
    "I4": (ISOLATION, "A{das:d1}", ["batch em:e1 das:d1 -> N; ; logged in"], "N{em:e1,das:d1}"),
    "I5": (
        ISOLATION,
        "K{cid:c1,das:d1}",
        ["login cid:c2 das:d1 -> N; ; logged in"],
        "N{cid:c2,das:d1}",
    ),
    "I6": (
        ISOLATION,
        "K{cid:c1,das:d1}, A1{das:d1}, A2{das:d1}",
        ["logout das:d1 -> A2; das"],
        "",
    ),
    "I7": (
        ISOLATION,
        "K{cid:c1,em:e1}",
        ["identify em:e1 rk:r1 -> K; em; logged in"],
        "K{cid:c1,em:e1,rk:r1}",
    ),
    "I journey": (
        ISOLATION,
        "",
        [
            "identify idfv:v1 -> P1;",
            "login cid:c1 em:e1 idfv:v1 -> P2; ; logged in",
            "logout idfv:v1 -> P1; idfv",
            "batch em:h -> P3; ; logged in",
            "login cid:c1 em:e1 idfv:v1 -> P2; cid em idfv; logged in",
            "modify P2 em:e1>h -> em P2, em P3",
            "identify rk:r1 -> P4;",
            "login cid:c1 em:h rk:r1 -> P2; cid em; logged in",
        ],
        "P1{idfv:v1}, P2{cid:c1,em:h,idfv:v1,rk:r1}, P3{}, P4{rk:r1}",
    ),
    # -- Best match -------------------------------------------------------------------------------
    "B1": (
        BEST_MATCH,
        "",
        [
            "identify idfv:v1 -> N;",
            "identify em:e1 idfv:v1 -> N; idfv",
            "identify em:e2 idfv:v1 -> N; idfv",
        ],
        "N{em:e1,em:e2,idfv:v1}",
    ),
    "B2": (
        BEST_MATCH,
        "A{em:e1}, B{rk:r1}",
        ["identify em:e1 rk:r1 -> A; em"],
        "A{em:e1,rk:r1}",
    ),
    "B3": (
        BEST_MATCH,
        "A{em:e1,oth:o1}, B{em:e1,oth:o2}",
        ["identify em:e1 oth:o2 -> B; em oth"],
        "",
    ),
    "B4": (
        BEST_MATCH,
        "A{em:e1,oth:o1}, B{em:e1,oth:o2}",
        ["identify em:e1 oth:o9 -> B; em"],
        "B{em:e1,oth:o2,oth:o9}",
    ),
    "B5": (BEST_MATCH, "A{em:e1}, B{em:e1}", ["identify em:e1 prev:A -> A; em"], ""),
    "B6": (BEST_MATCH, "A{em:e1}", ["login em:e1 -> A; em", "logout em:e1 -> A; em"], ""),
    "B7": (
        BEST_MATCH,
        "A{em:e1}, B{em:e2}",
        ["modify A em:e1>e2 -> em A", "search em:e2 -> A; em"],
        "A{em:e2}",
    ),
    "B8": (
        BEST_MATCH,
        "A{em:e1,oth:o1}, B{oth:o2}",
        ["identify em:e9 oth:o2 -> B; oth"],
        "B{em:e9,oth:o2}",
    ),
    "B9": (BEST_MATCH, "", ["search em:e1 -> 404 not found"], ""),
    # -- Event batches ----------------------------------------------------------------------------
    "E3": (DEFAULT, "K{cid:c1,das:d1}", ["batch das:d1 -> N;"], "N{das:d1}"),
    "E4": (
        DEFAULT,
        "K{cid:c1,das:d1}",
        ["batch cid:c1 das:d2 -> K; cid; logged in"],
        "K{cid:c1,das:d1,das:d2}",
    ),
    "E5": (
        DEFAULT,
        "A{das:d1}",
        ["batch cid:c7 das:d1 -> A; das; logged in"],
        "A{cid:c7,das:d1}",
    ),
    "E6, link": (
        LINK,
        "A{das:d1}",
        ["batch cid:c7 das:d1 -> N; ; logged in"],
        "N{cid:c7,das:d1}<A",
    ),
    "E6, isolation": (
        ISOLATION,
        "A{das:d1}",
        ["batch cid:c7 das:d1 -> N; ; logged in"],
        "N{cid:c7,das:d1}",
    ),
    "E7": (ISOLATION, "A{das:d1}", ["batch das:d1 -> A; das"], ""),
    "E11": (BEST_MATCH, "A{em:e1}", ["batch em:e1 das:d1 -> A; em"], "A{em:e1,das:d1}"),
    # -- Worked cases -----------------------------------------------------------------------------
    "case 19": (
        BEST_MATCH,  # with roku_aid for android_aaid
        "A{em:h,oth:aa,idfv:1}, B{em:h,rk:2,oth:bb}",
        ["identify em:h oth:aa idfv:2 -> A; em oth", "identify em:h rk:2 -> B; em rk"],
        "A{em:h,oth:aa,idfv:1,idfv:2}",
    ),
    "case 20": (
        CONVERSION,
        "P1{cid:x,em:e1,idfv:9}, P2{em:e2}",
        [
            "identify em:e1 -> P1; em; logged in",
            "identify em:e2 idfv:5 -> P2; em; logged in",
            "identify idfv:9 -> P3;",
        ],
        "P2{em:e2,idfv:5}, P3{idfv:9}",
    ),
    "case 21": (
        LINK,
        "P1{cid:x,em:e1}, P2{em:e2}",
        ["modify P1 em:e1>e2 -> em P1, em P2", "modify P1 em:e1>e2 -> em P1"],
        "P1{cid:x,em:e2}, P2{}",
    ),
    "case 22": (
        CONVERSION,
        "P{cid:x}",
        ["modify 77 em:>e1 -> 400 MPID not found", "modify P -> ", "modify P em:> -> "],
        "",
    ),
    "case 23": (
        CONVERSION,
        "A{das:d1}",
        ["modify A cid:>c8 -> cid A", "identify das:d1 -> N;"],
        "A{cid:c8,das:d1}, N{das:d1}",
    ),
    "case 24": (
        DEFAULT,
        "",
        [
            "logout das:d1 -> N1;",
            "logout das:d1 -> N2;",
            "identify das:d1 -> N2; das",
            "identify das:d1 prev:N1 -> N1; das",
        ],
        "N1{das:d1}, N2{das:d1}",
    ),
    "case 25": (
        CONVERSION,
        "K2{em:e1}, K1{cid:c1}",
        [
            "search em:e1 -> K2; em; logged in",
            "login cid:c1 em:e1 -> K1; cid; logged in",
            "search em:e1 -> K2; em; logged in",
        ],
        "",
    ),
    "case 26": (
        DEFAULT,
        "M{cid:c1}",
        [
            "modify M cid:c1>c2 -> 400 immutable",
            "modify M cid:c1> -> 400 immutable",
            "modify M cid:c1>c1 -> cid M",
            "modify M cid:c9>c1 -> cid M",
        ],
        "",
    ),
    # -- What the rules say beside the tables -----------------------------------------------------
    "an orphan is nobody's previous user": (
        DEFAULT,
        "A{}",
        ["login cid:c1 prev:A -> N; ; logged in"],
        "N{cid:c1}",
    ),
    "a known user is nobody's previous user": (
        DEFAULT,
        "K{cid:c2}",
        ["login cid:c1 prev:K -> N; ; logged in", "login cid:c3 prev:77 -> M; ; logged in"],
        "N{cid:c1}, M{cid:c3}",
    ),
    "the previous user is the source before the device's": (
        LINK,
        "B{idfv:v1}, A{das:d1}",
        ["login cid:c1 das:d1 prev:B -> N; ; logged in"],
        "N{cid:c1,das:d1}<B",
    ),
    "link and isolation return to the anonymous user without a fresh login": (
        ISOLATION,
        "A{das:d1}",
        ["identify oth:o1 das:d1 -> A; das"],
        "A{oth:o1,das:d1}",
    ),
    "isolation creates where nobody is found": (
        ISOLATION,
        "",
        ["identify rk:r1 -> N;"],
        "N{rk:r1}",
    ),
    "a modify of what is not unique leaves it to the others": (
        CONVERSION,
        "A{oth:o1}, B{oth:o2}",
        ["modify A oth:o1>o2 -> oth A", "modify B oth:zzz>o3 oth:o2> -> oth B, oth B"],
        "A{oth:o2}, B{oth:o3}",
    ),
    "a modify sees what its earlier entries did": (
        LINK,
        "K{cid:c1}, F{em:e2,das:d1}",
        ["modify K em:>e2 em:e2> cid:c1> -> em K, em F, em K, cid K", "identify das:d1 -> F; das"],
        "K{}, F{das:d1}",
    ),
    "a value that is replaced by itself is not the newest link": (
        BEST_MATCH,
        "A{em:e1}, B{em:e1}",
        ["modify A em:e1>e1 -> em A", "search em:e1 -> B; em"],
        "",
    ),
}
