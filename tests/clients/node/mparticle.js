// Calls mParticle's server SDK. The first argument says what to do; KEY, SECRET, HOST and USER_ID
// come from the environment. Prints one line of JSON: what the callbacks were told.
const sdk = require("mparticle");
const { KEY, SECRET, HOST, USER_ID } = process.env;

const api = new sdk.EventsApi(new sdk.Configuration(KEY, SECRET));
api.apiClient.basePath = HOST + "/v2";

const SESSION = "0b6f2c1e-7d43-4a8e-9c55-1f2e3d4c5b6a";

const call = (method, body) =>
  new Promise(done => api[method](body, (error, data, response) =>
    done({ status: error ? error.status || null : response.status, failed: Boolean(error) })));

function made(event, members) {
  return Object.assign(event, members);
}

function everyEvent() {
  const product = made(new sdk.Product("p1", "Shoe", 10.5), {
    brand: "Northpeak", category: "Footwear", variant: "blue", position: 1, quantity: 2,
    coupon_code: "SPRING", custom_attributes: { size: "42" },
  });
  const location = made(new sdk.GeoLocation(40.7, -73.9), { accuracy: 5.0 });
  return [
    made(new sdk.SessionStartEvent(), { session_uuid: SESSION }),
    made(new sdk.AppEvent("navigation", "Opened"), {
      session_uuid: SESSION, location,
      custom_attributes: { n: 3, f: 1.5, b: true, s: "x" },
      custom_flags: { flag: 42, list: ["a", "b"] },
      device_current_state: made(new sdk.DeviceCurrentState(), { battery_level: 0.5 }),
    }),
    made(new sdk.ScreenViewEvent("Home"), { activity_type: "main" }),
    made(new sdk.CommerceEvent(), {
      currency_code: "EUR", screen_name: "Checkout", is_non_interactive: false,
      product_action: made(new sdk.ProductAction("purchase", "t1", 21.0, [product]), {
        tax_amount: 1.5, shipping_amount: 2, affiliation: "web", coupon_code: "SPRING",
      }),
      shopping_cart: new sdk.ShoppingCart([product]),
    }),
    made(new sdk.CommerceEvent(), {
      promotion_action: new sdk.PromotionAction("view", [
        new sdk.Promotion("promo", "Spring", "banner", "2"),
      ]),
    }),
    made(new sdk.CommerceEvent(), {
      product_impressions: [new sdk.ProductImpression("list", [product])],
    }),
    made(new sdk.ApplicationStateTransitionEvent("application_initialized"), {
      is_first_run: true, is_upgrade: false, successfully_closed: true,
    }),
    new sdk.BreadcrumbEvent(1, "tapped"),
    made(new sdk.CrashReportEvent("Error", "boom", "at x", false), { severity: "fatal" }),
    new sdk.FirstRunEvent(),
    new sdk.NetworkPerformanceEvent("GET", "https://x.example", 12, 10, 20, 200),
    new sdk.OptOutEvent(false),
    new sdk.ProfileEvent("p", "q", "login"),
    made(new sdk.PushMessageEvent("token", "received", "{}", "background"), { network: "gcm" }),
    new sdk.PushRegistrationEvent(true, "token"),
    made(new sdk.SessionEndEvent(1000), { session_uuid: SESSION }),
  ];
}

function batchOf(user, events, request) {
  const batch = made(new sdk.Batch("production"), {
    source_request_id: request,
    user_identities: made(new sdk.UserIdentities(), {
      customerid: user, email: user + "@example.test", other_id_2: "crm-" + user,
    }),
    user_attributes: { tier: "gold", visits: 7, tags: ["a", "b"] },
    deleted_user_attributes: ["old"],
    device_info: made(new sdk.DeviceInformation(), { platform: "iOS", os_version: "17.1" }),
    application_info: made(new sdk.ApplicationInformation(), { application_version: "1.2.3" }),
    consent_state: made(new sdk.ConsentState(), {
      gdpr: { newsletter: new sdk.GDPRConsentState("terms", true, 1735732800000) },
      ccpa: { data_sale_opt_out: new sdk.CCPAConsentState("terms", true, 1735732800000) },
    }),
    context: made(new sdk.BatchContext(), {
      data_plan: made(new sdk.DataPlanContext(), { plan_id: "shop", plan_version: 1 }),
    }),
  });
  events.forEach(event => batch.addEvent(event));
  return batch;
}

const numbered = number => new sdk.AppEvent("other", "E" + number);

const tasks = {
  // Every call, with every type of event and all that goes beside events.
  async calls() {
    const single = await call("uploadEvents", batchOf(USER_ID, everyEvent()));
    const batches = [1, 2, 3].map(number => batchOf(USER_ID + "-" + number, [numbered(number)]));
    return [single, await call("bulkUploadEvents", batches)];
  },
  // An MPID beyond what a number of JavaScript holds.
  async mpid() {
    const batch = made(new sdk.Batch("production"), { mpid: 7346244611012968789 });
    batch.addEvent(numbered(1));
    return [await call("uploadEvents", batch)];
  },
  // What an application does that must not lose anything: it sends again what failed.
  async patient() {
    const told = [];
    for (let number = 0; number < Number(process.env.COUNT); number++) {
      const batch = batchOf(USER_ID, [numbered(number)], USER_ID + "-" + number);
      let answer = await call("uploadEvents", batch);
      while (answer.failed) {
        told.push(answer.status);
        await new Promise(done => setTimeout(done, 200));
        answer = await call("uploadEvents", batch);
      }
    }
    return told;
  },
};

tasks[process.argv[2]]().then(told => console.log(JSON.stringify(told)));
