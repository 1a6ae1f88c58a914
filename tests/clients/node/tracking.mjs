// Calls Segment's or RudderStack's SDK: the first argument names it, the second says what to do.
// KEY, HOST and USER_ID come from the environment. The last line it prints is JSON: the errors
// that the callbacks were told.
const [which, task] = process.argv.slice(2);
const { KEY, HOST, USER_ID, COUNT } = process.env;

async function opened() {
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

const sdk = await opened();
const errors = [];
const sent = [];

function send(method, message) {
  sent.push(new Promise(done => sdk[method](message, error => {
    if (error) errors.push(String(error.message ?? error.reason ?? error.code));
    done();
  })));
}

const userId = USER_ID;
if (task === "calls") {
  const anonymousId = "anonymous-" + userId;
  send("identify", { userId, traits: { email: userId + "@example.test", firstName: "Ada",
    plan: "pro", address: { city: "Turin" } } });
  send("track", { userId, event: "Opened", properties: { n: 1 } });
  send("track", { userId, event: "Order Completed", properties: { order_id: "o1", total: 21.0,
    products: [{ product_id: "p", quantity: 2 }] } });
  send("page", { userId, name: "Pricing", category: "Docs" });
  send("screen", { userId, name: "Main" });
  send("group", { userId, groupId: "acme", traits: { size: 3 } });
  send("track", { anonymousId, event: "Visited" });
  send("alias", { previousId: anonymousId, userId: "known-" + userId });
} else {
  for (let number = 0; number < Number(COUNT); number++) {
    send("track", { userId, event: "E" + number });
  }
}
await Promise.all(sent);
console.log(JSON.stringify(errors));
process.exit(0);
