// Makes up requests for the operations of an OpenAPI document, one a line as JSON, from
// a seed and without end:
//
//	node generate.mjs openapi.json SEED
//
// Values come from json-schema-faker, as the document has them, and from fast-check, of
// any kind. {user}, {order}, {etag} and {cursor} stand for
// what is there.
import { readFileSync } from "node:fs";
import { once } from "node:events";
import fc from "fast-check";
import { generateSync } from "json-schema-faker";

const document = JSON.parse(readFileSync(process.argv[2], "utf8"));
let seed = Number(process.argv[3]);

const ofSchema = (schema) =>
  fc.record({ seed: fc.nat(), useExamplesValue: fc.boolean(), optionalsProbability: fc.constantFrom(0, 0.5, 1) })
    .map((options) => generateSync({ ...schema, components: document.components }, options));

// places are all members and elements in a value, each with what it is in.
const places = (value) =>
  value === null || typeof value !== "object" ? []
    : Object.keys(value).flatMap((key) => [[value, key], ...places(value[key])]);

const anything = fc.oneof(fc.jsonValue(), fc.string({ unit: "binary", maxLength: 600 }), fc.double(), fc.maxSafeInteger(), fc.constantFrom("", null, [], {}));

const changed = (valid) =>
  fc.tuple(valid, fc.nat(), fc.constantFrom("replace", "remove", "add", "pad"), anything, fc.string()).map(([body, place, how, other, name]) => {
    const all = places(body);
    if (all.length === 0) return other;
    const [inside, key] = all[place % all.length];
    if (how === "remove") Array.isArray(inside) ? inside.splice(Number(key), 1) : delete inside[key];
    else if (how === "add") Array.isArray(inside) ? inside.push(other) : (inside[name] = other);
    else if (how === "pad" && typeof inside[key] === "string") inside[key] = ` \u00a0${inside[key]}\u3000`;
    else inside[key] = other;
    return body;
  });

// known puts what is there where it belongs, most of the time.
const known = (body) =>
  fc.tuple(body, fc.emailAddress(), fc.nat(3)).map(([b, email, luck]) => {
    if (luck > 0 && b !== null && typeof b === "object") {
      if (luck > 1) for (const readOnly of ["id", "created_at", "updated_at", "total_amount"]) delete b[readOnly];
      if ("user_id" in b) b.user_id = "{user}";
      if ("email" in b) b.email = email;
    }
    return b;
  });

const parameterOf = (p) => {
  const valid = ofSchema(p.schema).map(String);
  const wrong = p.in === "header" ? fc.string() : fc.string({ unit: "binary" });
  if (/_id$/.test(p.name)) return fc.oneof({ weight: 8, arbitrary: fc.constant(p.name === "user_id" ? "{user}" : "{order}") }, valid, wrong);
  if (p.name === "cursor") return fc.oneof({ weight: 4, arbitrary: fc.constant("{cursor}") }, valid, wrong);
  if (p.name === "Idempotency-Key") return fc.oneof({ weight: 4, arbitrary: fc.uuid() }, valid, wrong);
  if (/^If-/.test(p.name)) return fc.oneof({ weight: 8, arbitrary: fc.constantFrom("{etag}", "{etag}", '"0", {etag}', p.name === "If-Match" ? "*" : "W/{etag}") }, wrong);
  return fc.oneof({ weight: 6, arbitrary: valid }, wrong);
};

const escape = (value) => encodeURIComponent(value.toWellFormed?.() ?? value.replace(/[\ud800-\udfff]/g, "")).replaceAll("%7B", "{").replaceAll("%7D", "}");

const requestOf = (path, method, operation) => {
  const parameters = operation.parameters ?? [];
  const content = operation.requestBody?.content;
  const valid = content && known(ofSchema(Object.values(content)[0].schema));
  const body = content
    ? fc.oneof(
        { weight: 6, arbitrary: fc.tuple(fc.constant("valid"), valid.map((b) => JSON.stringify(b))) },
        { weight: 6, arbitrary: fc.tuple(fc.constant("changed"), changed(valid).map((b) => JSON.stringify(b) ?? "")) },
        { weight: 1, arbitrary: fc.tuple(fc.constant("other"), fc.oneof(fc.json(), fc.string({ unit: "binary" }))) })
    : fc.constant(["none", null]);
  return fc.record({
    unconditional: fc.boolean(),
    given: fc.record(Object.fromEntries(parameters.map((p, i) => [i, parameterOf(p)])),
      { requiredKeys: parameters.flatMap((p, i) => (p.required ? [String(i)] : [])) }),
    more: fc.oneof({ weight: 20, arbitrary: fc.constant(null) }, fc.tuple(fc.string(), fc.string())),
    type: content ? fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...Object.keys(content)) }, fc.constantFrom("text/plain", "", "application/json; charset=latin1")) : fc.constant(""),
    body,
  }).map(({ unconditional, given, more, type, body: [kind, text] }) => {
    const headers = {}, query = [];
    let target = path;
    parameters.forEach((p, i) => {
      if (!(i in given) || (unconditional && /^If-/.test(p.name))) return;
      if (p.in === "path") target = target.replace(`{${p.name}}`, () => escape(given[i]) || "-");
      else if (p.in === "query") query.push(`${p.name}=${escape(given[i])}`);
      else headers[p.name] = given[i].trim();
    });
    if (more) query.push(`${escape(more[0])}=${escape(more[1])}`);
    if (type) headers["Content-Type"] = type;
    return { kind, method: method.toUpperCase(), path: target + (query.length ? "?" + query.join("&") : ""), headers, body: text };
  });
};

// There is less to see of the probes, and what is deleted is gone.
const weights = { delete: 2, get: 4 };
const requests = fc.oneof(...Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) =>
    ({ arbitrary: requestOf(path, method, operation), weight: path.startsWith("/health") ? 1 : weights[method] ?? 10 }))));

for (;;) {
  for (const request of fc.sample(requests, { seed: seed++, numRuns: 100 })) {
    if (!process.stdout.write(JSON.stringify(request) + "\n")) await once(process.stdout, "drain");
  }
}
