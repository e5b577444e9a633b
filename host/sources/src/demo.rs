//! A demonstration: records as a small shop would write them.
//!
//! Visitors look at products, sign in and buy. What they do is one trace through several services. Some records hold
//! what a filter should mask: addresses, card numbers, tokens. For a third of every minute, the payment provider is slow, and
//! payments fail with a stack trace.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use fastrand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_record::time::now_ns;
use weir_record::{Batch, read_json};

use crate::destination::{Delivery, Destination};
use crate::registry::{Kind, options, schema_of};
use crate::source::Source;

/// The registration.
pub(crate) const KIND: Kind = Kind {
    name: "demo",
    summary: "invents records of a small shop, for a look at Weir without an application",
    example: "[source.shop]\ntype = \"demo\"\nrate = 20\n",
    schema: schema_of::<Options>,
    build: |name, value, _| Ok(Box::new(Demo { options: options(name, value)? })),
};

/// Records are delivered this often.
const INTERVAL: Duration = Duration::from_millis(100);

/// The payment provider is slow for the first [`SLOW_S`] seconds of every [`CYCLE_S`].
const CYCLE_S: u64 = 60;
const SLOW_S: u64 = 20;

const PEOPLE: &[&str] = &["ada", "grace", "linus", "edsger", "barbara", "donald", "margaret", "ken"];
const PRODUCTS: &[&str] = &["teapot", "lamp", "notebook", "umbrella", "kettle", "chair"];

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Records per second, about.
    #[schemars(range(min = 1, max = 10_000))]
    rate: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { rate: 20 }
    }
}

struct Demo {
    options: Options,
}

#[async_trait]
impl Source for Demo {
    async fn run(&self, to: Destination) -> Result<(), String> {
        let mut shop = Shop { random: Rng::new() };
        let began = Instant::now();
        let mut due = 0.0;
        while to.pause(INTERVAL).await.is_ok() {
            due += f64::from(self.options.rate) * INTERVAL.as_secs_f64();
            let mut records = Vec::new();
            while (records.len() as f64) < due {
                let is_slow = began.elapsed().as_secs() % CYCLE_S < SLOW_S;
                records.append(&mut shop.visit(is_slow));
            }
            due -= records.len() as f64;
            let mut batch = Batch::new();
            let text = Value::Array(records).to_string();
            let bad = read_json(text.as_bytes(), &to.defaults(now_ns()), &mut batch).map_err(|e| e.to_string())?;
            if to.deliver(Delivery { batch, bad, ..Delivery::default() }).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

struct Shop {
    random: Rng,
}

/// Who visits, and the trace of what they do.
struct Visit {
    person: &'static str,
    user_id: u64,
    trace_id: String,
    product: &'static str,
}

impl Visit {
    fn record(&self, source: &str, level: &str, message: String, more: Value) -> Value {
        let mut record = json!({
            "source": source, "level": level, "message": message, "trace_id": self.trace_id,
            "context": {"user_id": self.user_id},
        });
        if let (Some(record), Value::Object(more)) = (record.as_object_mut(), more) {
            record.extend(more);
        }
        record
    }
}

impl Shop {
    /// The records of one visit.
    fn visit(&mut self, is_slow: bool) -> Vec<Value> {
        let random = &mut self.random;
        let number = random.usize(..PEOPLE.len());
        let visit = Visit {
            person: PEOPLE[number],
            user_id: 1_000 + number as u64,
            trace_id: format!("{:032x}", random.u128(..)),
            product: PRODUCTS[random.usize(..PRODUCTS.len())],
        };
        match random.u32(..100) {
            0..50 => self.look(&visit),
            50..75 => self.sign_in(&visit),
            75..97 => self.buy(&visit, is_slow),
            _ => self.maintain(&visit),
        }
    }

    fn look(&mut self, visit: &Visit) -> Vec<Value> {
        let took = self.random.u32(3..40);
        let path = format!("/products/{}", visit.product);
        let shown = match self.random.u32(..12) {
            0 => visit.record(
                "catalog",
                "WARNING",
                format!("product {} has no picture", visit.product),
                json!({"product": visit.product}),
            ),
            _ => visit.record(
                "catalog",
                "DEBUG",
                format!("found {} in the cache", visit.product),
                json!({"product": visit.product, "took_ms": took / 3}),
            ),
        };
        vec![request(visit, "GET", &path, 200, took), shown]
    }

    fn sign_in(&mut self, visit: &Visit) -> Vec<Value> {
        let address = format!("{}@example.com", visit.person);
        let took = self.random.u32(30..120);
        if self.random.u32(..5) == 0 {
            let refused = visit.record(
                "auth",
                "WARNING",
                format!("wrong password for {address} from 203.0.113.{}", self.random.u8(1..255)),
                json!({"password": "hunter2"}),
            );
            return vec![refused, request(visit, "POST", "/login", 401, took)];
        }
        let token = format!("Bearer {:032x}", self.random.u128(..));
        let signed_in = visit.record("auth", "INFO", format!("{address} signed in"), json!({"authorization": token}));
        vec![signed_in, request(visit, "POST", "/login", 200, took)]
    }

    fn buy(&mut self, visit: &Visit, is_slow: bool) -> Vec<Value> {
        let order = self.random.u32(10_000..99_999);
        let euros = f64::from(self.random.u32(500..20_000)) / 100.0;
        let asked = visit.record(
            "checkout",
            "INFO",
            format!("order {order}: 1 × {} for {euros:.2} EUR", visit.product),
            json!({"order": order, "amount": euros, "card": "4111 1111 1111 1111"}),
        );
        if is_slow && self.random.u32(..3) > 0 {
            let failed = visit.record(
                "payments",
                "ERROR",
                format!("payment of order {order} failed: the provider did not answer within 3 s"),
                json!({"order": order, "took_ms": 3_000 + self.random.u32(..40), "exception": STACK}),
            );
            return vec![asked, failed, request(visit, "POST", "/orders", 502, 3_050)];
        }
        let took = if is_slow { self.random.u32(900..2_900) } else { self.random.u32(60..240) };
        let level = if took > 900 { "WARNING" } else { "INFO" };
        let paid = visit.record(
            "payments",
            level,
            format!("order {order} is paid"),
            json!({"order": order, "amount": euros, "took_ms": took}),
        );
        let mail = visit.record(
            "mail",
            "INFO",
            format!("confirmation of order {order} sent to {}@example.com", visit.person),
            json!({"order": order}),
        );
        vec![asked, paid, request(visit, "POST", "/orders", 201, took + 20), mail]
    }

    fn maintain(&mut self, visit: &Visit) -> Vec<Value> {
        let rows = self.random.u32(0..5_000);
        vec![visit.record("jobs", "INFO", format!("deleted {rows} expired carts"), json!({"rows": rows}))]
    }
}

fn request(visit: &Visit, method: &str, path: &str, status: u16, took_ms: u32) -> Value {
    let level = if status >= 500 { "ERROR" } else { "INFO" };
    visit.record(
        "web",
        level,
        format!("{method} {path} {status} in {took_ms} ms"),
        json!({"method": method, "path": path, "status": status, "took_ms": took_ms}),
    )
}

const STACK: &str = "TimeoutError: no answer from https://pay.example.com/v2/charges
    at Provider.charge (/srv/payments/provider.js:88:11)
    at async Orders.pay (/srv/payments/orders.js:41:5)
    at async handle (/srv/payments/server.js:23:3)";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn payments_fail_only_while_the_provider_is_slow_and_every_service_writes() {
        let mut shop = Shop { random: Rng::with_seed(7) };
        let records = |shop: &mut Shop, is_slow| (0..500).flat_map(|_| shop.visit(is_slow)).collect::<Vec<_>>();
        let failures = |records: &[Value]| records.iter().filter(|record| record["exception"].is_string()).count();
        let (calm, slow) = (records(&mut shop, false), records(&mut shop, true));
        assert_eq!(failures(&calm), 0);
        assert!(failures(&slow) > 10);
        let sources: BTreeSet<&str> = calm.iter().filter_map(|record| record["source"].as_str()).collect();
        assert_eq!(sources, ["auth", "catalog", "checkout", "jobs", "mail", "payments", "web"].into());
        let of_trace = |id: &Value| calm.iter().filter(|record| record["trace_id"] == *id).count();
        assert!((1..=4).contains(&of_trace(&calm[0]["trace_id"])));
    }
}
