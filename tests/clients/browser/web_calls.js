// Makes every call of mParticle's web SDK that has to do with a server. Given `customer`, the id to
// log in with, and `key`; gives what the callbacks were told.
async ({ customer, key }) => {
  const sdk = window.mParticle;
  const answer = (name, start) => new Promise((done, fail) => {
    setTimeout(() => fail(new Error("no answer to " + name)), 10000);
    start(done);
  });
  const asked = async (name, known) =>
    (await answer(name, done => sdk.Identity[name]({ userIdentities: known }, done))).httpCode;
  const user = () => sdk.Identity.getCurrentUser();
  const out = {};

  sdk.setLogLevel("warning");
  out.identify = await asked("identify", {});
  sdk.setDeviceId("0f0f0f0f-0000-4000-8000-0000000000dd");
  const known = { customerid: customer, email: customer + "@example.test", other2: "o2" };
  out.login = await asked("login", known);
  const mpid = user().getMPID();

  user().setUserAttributes({ early: 1, short: "x" });
  user().removeAllUserAttributes();
  user().setUserAttribute("plan", "basic");
  user().setUserAttribute("plan", "plus");
  user().setUserAttribute("visits", 7);
  user().setUserAttributes({ size: "m", tall: true });
  user().setUserAttribute("temp", "x");
  user().removeUserAttribute("temp");
  user().setUserAttributeList("colors", ["red", "teal"]);
  user().setUserTag("vip");
  user().setUserTag("brief");
  user().removeUserTag("brief");

  sdk.setAppName("Shop");
  sdk.setAppVersion("1.2");
  sdk.setIntegrationAttribute(128, { MCID: "m" });
  sdk.setSessionAttribute("came", "early");
  sdk.setPosition(53.3, -6.2);
  const event = sdk.EventType;
  sdk.logEvent("Opened", event.Navigation, { a: 1 }, { flag: "f" });
  for (const [name, type] of Object.entries(event)) {
    if (typeof type === "number") sdk.logEvent("Type " + name, type);
  }
  await answer("location", done => sdk.startTrackingLocation(done));
  sdk.logEvent("Tracked", event.Location);
  sdk.stopTrackingLocation();
  sdk.logEvent("Kept back", event.Other, {}, {}, { shouldUploadEvent: false });
  sdk.logBaseEvent({ name: "Based", messageType: 4, eventType: 8, data: { b: 2 },
    sourceMessageId: "own-" + customer });
  document.body.insertAdjacentHTML("beforeend", '<a id="link" href="#there">There</a>'
    + '<iframe name="sink"></iframe><form id="form" target="sink"></form>');
  sdk.logLink("#link", "Linked", event.Navigation);
  sdk.logForm("#form", "Formed", event.Other);
  document.querySelector("#link").click();
  document.querySelector("#form").requestSubmit();
  sdk.logPageView("Home", { page: "/home" });
  sdk.logPageView();
  sdk.logError(new Error("broken"));
  sdk.logError("in words", { where: "cart" });

  const shop = sdk.eCommerce;
  shop.setCurrencyCode("EUR");
  const product = shop.createProduct("Shoe", "s1", 10.5, 2, "blue", "Footwear", "Northpeak", 1,
    "SPRING", { lace: "long" });
  const order = shop.createTransactionAttributes("t1", "web", "SPRING", 21, 3, 2);
  for (const [name, type] of Object.entries(sdk.ProductActionType)) {
    if (typeof type === "number" && name !== "Unknown") {
      shop.logProductAction(type, product, { as: name }, null, name === "Purchase" ? order : null);
    }
  }
  const promotion = shop.createPromotion("p1", "c", "Spring", 2);
  shop.logPromotion(sdk.PromotionType.PromotionView, promotion);
  shop.logPromotion(sdk.PromotionType.PromotionClick, promotion);
  shop.logImpression(shop.createImpression("List", product));
  shop.logCheckout(1, "card");
  shop.logPurchase(shop.createTransactionAttributes("t2", null, null, 4), product);
  shop.logRefund({ Id: "t1" }, product);

  const consent = sdk.Consent.createConsentState();
  consent.setGDPRConsentState({ dropped: sdk.Consent.createGDPRConsent(true) });
  consent.removeGDPRConsentState("dropped");
  consent.addGDPRConsentState("newsletter",
    sdk.Consent.createGDPRConsent(true, Date.now(), "terms", "Cork", "h1"));
  consent.setCCPAConsentState(sdk.Consent.createCCPAConsent(false, 1));
  consent.removeCCPAConsentState();
  consent.setCCPAConsentState(sdk.Consent.createCCPAConsent(true, Date.now()));
  user().setConsentState(consent);
  sdk.logEvent("Consented", event.Other);

  out.modify = await asked("modify", { customerid: customer, email: "new-" + known.email });
  out.search = (await answer("search",
    done => sdk.Identity.search(key, { customerid: customer }, done))).httpCode;
  sdk.endSession();
  sdk.startNewSession();
  sdk.upload();
  out.logout = await asked("logout", {});
  const anonymous = user().getMPID();
  const request = sdk.Identity.createAliasRequest(
    sdk.Identity.getUser(anonymous), sdk.Identity.getUser(mpid));
  out.alias = (await answer("alias", done => sdk.Identity.aliasUsers(request, done))).httpCode;
  sdk.setOptOut(true);
  sdk.logEvent("Unheard", event.Other);
  sdk.setOptOut(false);
  sdk.logEvent("Heard", event.Other);
  out.mpids = [mpid, anonymous];
  return out;
}
