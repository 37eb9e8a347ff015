// Uses the services through clients of the types that were generated from their
// documents into users.d.ts and orders.d.ts.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { components, paths as OrderPaths } from "./orders.js";
import type { paths as UserPaths } from "./users.js";

const users = createClient<UserPaths>({ baseUrl: process.env["USERS_URL"]! });
const orders = createClient<OrderPaths>({ baseUrl: process.env["ORDERS_URL"]! });

// What was read, with its instants as an application keeps them: as a Date.
function throughDate<T extends { created_at: string; updated_at: string }>(resource: T): T {
  const [created, updated] = [new Date(resource.created_at), new Date(resource.updated_at)];
  return { ...resource, created_at: created.toISOString(), updated_at: updated.toISOString() };
}

const key = randomUUID();
const made = await users.POST("/api/v1/users", {
  params: { header: { "Idempotency-Key": key } },
  body: { name: "Ada Lovelace", email: `${key}@bücher.example`, age: null },
});
assert.equal(made.response.status, 201);
assert.ok(made.data);
const user = made.data;
assert.equal(user.age, null);
const user_id = user.id;
const put = await users.PUT("/api/v1/users/{user_id}", { params: { path: { user_id } }, body: throughDate(user) });
assert.deepEqual(put.data, user);
const renamed = await users.PATCH("/api/v1/users/{user_id}", {
  params: { path: { user_id } },
  body: { name: "Ada King", age: 150 },
  headers: { "Content-Type": "application/merge-patch+json" },
});
assert.deepEqual(renamed.data, { ...user, name: "Ada King", age: 150, updated_at: renamed.data?.updated_at });
const listed = await users.GET("/api/v1/users", { params: { query: { limit: 1 } } });
assert.deepEqual(listed.data?.items, [renamed.data]);

type Amount = { items: components["schemas"]["Item"][]; total: number };
const amounts: Amount[] = JSON.parse(readFileSync("amounts.json", "utf8"));
assert.ok(amounts.length > 0);
for (const { items, total } of amounts) {
  const created = await orders.POST("/api/v1/orders", { body: { user_id, items, shipping_address: "12 St James's Square\nLondon" } });
  assert.ok(created.data, JSON.stringify(created.error));
  const order = created.data;
  assert.equal(order.total_amount, total);
  assert.deepEqual(order.items, items);
  const path = { order_id: order.id };

  const read = await orders.GET("/api/v1/orders/{order_id}", { params: { path } });
  assert.deepEqual(read.data, order);
  const back = await orders.PUT("/api/v1/orders/{order_id}", { params: { path }, body: throughDate(order) });
  assert.deepEqual(back.data, order, JSON.stringify(back.error));
  assert.equal(back.response.headers.get("ETag"), read.response.headers.get("ETag"));
  const patched = await orders.PATCH("/api/v1/orders/{order_id}", { params: { path }, body: { items: order.items } });
  assert.deepEqual(patched.data, order, JSON.stringify(patched.error));
  const page = await orders.GET("/api/v1/orders/user/{user_id}", { params: { path: { user_id }, query: { limit: 1 } } });
  assert.deepEqual(page.data?.items, [order]);
}
const nobody = await orders.GET("/api/v1/orders/{order_id}", { params: { path: { order_id: randomUUID() } } });
assert.equal(nobody.error?.status, 404);
console.log(`${amounts.length} amounts were exact`);
