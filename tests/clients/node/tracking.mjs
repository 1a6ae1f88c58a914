// Calls Segment's or RudderStack's SDK, which the first argument names: once for each message. KEY,
// HOST and MESSAGES (see `messages.py`) come from the environment. The last line it prints is JSON:
// the errors that the callbacks were told.
const { KEY, HOST, MESSAGES } = process.env;

async function opened(which) {
  if (which === "segment") {
    const { Analytics } = await import("@segment/analytics-node");
    return new Analytics({ writeKey: KEY, host: HOST, flushInterval: 100, flushAt: 10 });
  }
  const { default: Analytics } = await import("@rudderstack/rudder-sdk-node");
  // Its three attempts are over within a second unless it is told to make more. Without a handler
  // of errors it does not go on after the first batch that failed.
  return new Analytics(KEY, { dataPlaneUrl: HOST, flushInterval: 100, flushAt: 10,
    retryCount: 10, errorHandler: () => {} });
}

const sdk = await opened(process.argv[2]);
const errors = [];
await Promise.all(JSON.parse(MESSAGES).map(({ type, ...message }) => new Promise(done =>
  sdk[type](message, error => {
    if (error) errors.push(String(error.message ?? error.reason ?? error.code));
    done();
  }))));
console.log(JSON.stringify(errors));
process.exit(0);
