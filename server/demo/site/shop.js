"use strict";

const KEY = "us1-demo-shop-key";
const LOOK_MS = 250; // between two looks at what the platform knows
const TEA = "#2f6f5e", CLAY = "#b5764d", DARK = "#3d3a35";
const PICTURES = {
  teapot: `<path d="M30 44h44c4 30-4 40-22 40S26 74 30 44z" fill="${TEA}"/><path d="M74 50c16-4 20 18 2 22M30 54 12 46" fill="none" stroke="${TEA}" stroke-width="6" stroke-linecap="round"/><path d="M34 44c4-10 32-10 36 0z" fill="${DARK}"/><circle cx="52" cy="33" r="4" fill="${DARK}"/>`,
  cup: `<path d="M28 36h44l-6 42c-1 5-31 5-32 0z" fill="${CLAY}"/><ellipse cx="50" cy="36" rx="22" ry="6" fill="#7d4c2c"/><path d="M42 24c-4-5 4-7 0-13M56 24c-4-5 4-7 0-13" fill="none" stroke="#b8b2a4" stroke-width="3" stroke-linecap="round"/>`,
  tin: `<rect x="26" y="34" width="48" height="50" rx="5" fill="#d8b45a"/><rect x="24" y="22" width="52" height="14" rx="4" fill="#a8853a"/><path d="M50 46c12 8 12 20 0 26-12-6-12-18 0-26z" fill="${TEA}"/>`,
  whisk: `<path d="M44 12h12v34H44z" fill="#c79a5b"/><path d="M44 46c-12 14-14 26-10 40M48 46c-5 14-6 28-4 42M52 46c5 14 6 28 4 42M56 46c12 14 14 26 10 40" fill="none" stroke="#b58645" stroke-width="3" stroke-linecap="round"/><path d="M43 42h14v5H43z" fill="${DARK}"/>`,
};
const PRODUCTS = [
  { id: "teapot", name: "Cast iron teapot", price: 48 },
  { id: "cup", name: "Stoneware cup", price: 18 },
  { id: "tin", name: "Sencha, 100 g", price: 14 },
  { id: "whisk", name: "Bamboo whisk", price: 22 },
];
const NAMES = {
  view_detail: "viewed", add_to_cart: "added to cart", purchase: "purchase",
  user_attribute_change: "attribute change", user_identity_change: "identity change",
  session_start: "session start", application_state_transition: "page opened or hidden",
};

// Read by the SDK when it starts. The page is served without TLS, to this machine only.
window.mParticle = {
  config: { isDevelopmentMode: false, forceHttps: false, identityCallback: () => showPerson() },
};

const cart = [];
let clickedAt = null; // when the last click was that nothing has been seen of yet
let seen = "";
const find = id => document.getElementById(id);
const sdk = () => window.mParticle;
const user = () => sdk().Identity?.getCurrentUser();

function made(tag, text = "", name = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = name;
  return element;
}

function clicked(action) {
  return () => {
    clickedAt = performance.now();
    action();
  };
}

function product(of, quantity = 1) {
  return sdk().eCommerce.createProduct(of.name, of.id, of.price, quantity);
}

function log(action, products, transaction) {
  const { eCommerce, ProductActionType } = sdk();
  eCommerce.logProductAction(ProductActionType[action], products, null, null, transaction);
}

function view(of, card) {
  document.querySelectorAll(".seen").forEach(each => each.classList.remove("seen"));
  card.classList.add("seen");
  user().setUserAttribute("last_viewed", of.name);
  log("ViewDetail", product(of));
}

function add(of) {
  cart.push(of);
  showCart();
  log("AddToCart", product(of));
}

function buy() {
  const total = cart.reduce((sum, each) => sum + each.price, 0);
  const counts = new Map();
  cart.forEach(each => counts.set(each, (counts.get(each) ?? 0) + 1));
  log("Purchase", [...counts].map(([of, count]) => product(of, count)),
    { Id: `order-${Date.now()}`, Revenue: total });
  cart.length = 0;
  showCart();
}

function consent(isGiven) {
  const state = sdk().Consent.createConsentState();
  state.addGDPRConsentState("marketing", sdk().Consent.createGDPRConsent(isGiven, Date.now()));
  user().setConsentState(state);
  sdk().logEvent("Consent changed", sdk().EventType.UserPreference, { marketing: isGiven });
}

function login() {
  const known = { customerid: "ann", email: "ann@example.com" };
  sdk().Identity.login({ userIdentities: known }, result => {
    showPerson();
    if (result.httpCode === 200) sdk().logEvent("Logged in", sdk().EventType.Other);
  });
}

function logout() {
  sdk().Identity.logout({}, showPerson);
}

function showPerson() {
  const known = user()?.getUserIdentities().userIdentities.customerid;
  find("who").textContent = known ?? "Guest";
  find("login").hidden = known !== undefined;
  find("logout").hidden = known === undefined;
  const marketing = user()?.getConsentState()?.getGDPRConsentState().marketing;
  find("consent").checked = marketing?.Consented === true;
}

function showCart() {
  const total = cart.reduce((sum, each) => sum + each.price, 0);
  find("cart").textContent = cart.length
    ? `${cart.map(each => each.name).join(", ")} · $${total}` : "is empty";
  find("buy").disabled = cart.length === 0;
}

function showProducts() {
  for (const of of PRODUCTS) {
    const card = find("product").content.cloneNode(true).firstElementChild;
    const picture = card.querySelector(".picture");
    picture.innerHTML = `<svg viewBox="0 0 100 100" aria-hidden="true">${PICTURES[of.id]}</svg>`;
    picture.setAttribute("aria-label", `View ${of.name}`);
    picture.dataset.view = of.id;
    card.querySelector(".name").textContent = of.name;
    card.querySelector(".price").textContent = `$${of.price}`;
    const button = card.querySelector(".add");
    button.dataset.add = of.id;
    picture.addEventListener("click", clicked(() => view(of, card)));
    button.addEventListener("click", clicked(() => add(of)));
    find("products").append(card);
  }
}

function showProfile(profile) {
  const rows = [];
  for (const each of profile.user_identities) rows.push([each.type, each.value]);
  for (const [name, value] of Object.entries(profile.user_attributes)) rows.push([name, value]);
  for (const [purpose, state] of Object.entries(profile.consent_state?.gdpr ?? {})) {
    rows.push([`consent: ${purpose}`, state.consented ? "given" : "withdrawn"]);
  }
  find("profile").replaceChildren(...rows.flatMap(([name, value]) => [
    made("dt", name), made("dd", value === null ? "tag" : String(value)),
  ]));
  if (rows.length === 0) find("profile").append(made("dt", "Nothing known yet", "none"));
}

function showAudiences(memberships) {
  const names = memberships.map(each => each.audience_name);
  find("audiences").replaceChildren(...names.map(name => made("span", name, "chip")));
  if (names.length === 0) find("audiences").append(made("span", "In none", "none"));
}

function told(body) {
  if (body.type === "audience_membership_change") {
    return `${body.changes[0].action === "delete" ? "left" : "joined"} ${body.audience.name}`;
  }
  return body.events.map(({ event_type: type, data }) => {
    const name = data.event_name ?? data.screen_name
      ?? NAMES[data.custom_event_type] ?? NAMES[type] ?? data.custom_event_type ?? type;
    const about = data.product_action?.products?.map(each => each.name).join(", ")
      ?? data.user_attribute_name ?? "";
    return about ? `${name}: ${about}` : name;
  }).join("; ") || "no events";
}

function row({ output, received_ms: time, body }) {
  const summary = made("summary");
  const clock = new Date(time).toLocaleTimeString("en-GB");
  summary.append(made("time", clock), made("span", output, `to ${output}`), made("span", told(body)));
  const details = made("details");
  details.append(summary, made("pre", JSON.stringify(body, null, 2)));
  const item = made("li");
  item.append(details);
  return item;
}

function showOutgoing(messages) {
  const list = find("outgoing");
  const known = Number(list.dataset.count ?? 0);
  if (list.dataset.mpid !== find("mpid").textContent || messages.length < known) {
    list.replaceChildren();
  }
  list.dataset.mpid = find("mpid").textContent;
  const isNew = messages.slice(0, messages.length - list.children.length); // newest first
  list.prepend(...isNew.map(row));
  list.dataset.count = String(messages.length);
}

async function look() {
  const mpid = user()?.getMPID();
  if (!mpid) return;
  const answer = await fetch(`/demo/visitor/${KEY}?mpid=${mpid}`);
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const now = await answer.text();
  if (now !== seen && mpid === user().getMPID()) {
    seen = now;
    const { profile, outgoing } = JSON.parse(now);
    find("mpid").textContent = `MPID ${mpid}`;
    showProfile(profile ?? { user_identities: [], user_attributes: {} });
    showAudiences(profile?.audience_memberships ?? []);
    showOutgoing(outgoing);
    if (clickedAt !== null) {
      const took = Math.round(performance.now() - clickedAt);
      find("status").textContent = `Seen ${took} ms after the click`;
      clickedAt = null;
    }
  }
  find("light").classList.add("on");
  if (find("status").textContent === "Starting") find("status").textContent = "Click something";
}

async function keepLooking() {
  try {
    if (!document.hidden) await look();
  } catch (error) {
    find("light").classList.remove("on");
    find("status").textContent = "The server does not answer";
  }
  setTimeout(keepLooking, LOOK_MS);
}

document.addEventListener("DOMContentLoaded", () => {
  showProducts();
  showCart();
  find("buy").addEventListener("click", clicked(buy));
  find("login").addEventListener("click", clicked(login));
  find("logout").addEventListener("click", clicked(logout));
  find("consent").addEventListener("change", event => clicked(() => consent(event.target.checked))());
  keepLooking();
});
