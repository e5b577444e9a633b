//! What checking a token costs: single records on 64 connections to a router without tokens, and to one with a token.
//!
//! Rounds alternate, because a machine is not equally fast for long. Requests of one record have the most checks for
//! the least work.

use crate::arrived::Destination;
use crate::cases::MASKING;
use crate::child::Child;
use crate::load::{self, Plan};
use crate::records::{self, Encoding};
use crate::{BenchArgs, Module};

/// The name of the case.
pub const NAME: &str = "tokens";

/// Rounds with and without a token, each.
const ROUNDS: usize = 15;

/// Records in one round, each in a request of its own.
const ROUND_RECORDS: u64 = 60_000;

const CONNECTIONS: usize = 64;

/// A router, and what its rounds took.
struct Side<'a> {
    child: &'a Child,
    plan: Plan<'a>,
    /// Requests per second of each round.
    rates: Vec<f64>,
    /// CPU time of the router per request of each round, in microseconds.
    costs: Vec<f64>,
}

impl Side<'_> {
    fn round(&mut self) -> anyhow::Result<()> {
        let before = self.child.usage()?;
        let loaded = load::drive(&self.plan, ROUND_RECORDS)?;
        self.plan.sent += loaded.requests();
        self.child.wait_for(Destination::Lines, self.plan.sent)?;
        let used = self.child.usage()?.since(&before);
        self.rates.push(loaded.records as f64 / loaded.seconds);
        self.costs.push(used * 1e6 / loaded.records as f64);
        Ok(())
    }
}

/// Runs the case and reports the results.
pub fn report(args: &BenchArgs, _: Module) -> anyhow::Result<String> {
    let (open, guarded) = (crate::folder(args)?, crate::folder(args)?);
    let token = Child::token(guarded.path())?;
    let (without, with) = (Child::weir(open.path(), MASKING)?, Child::weir(guarded.path(), MASKING)?);
    let bodies = records::bodies(1, Encoding::Json);
    let mut sides = [(&without, None), (&with, Some(token.as_str()))].map(|(child, token)| Side {
        child,
        plan: Plan { token, ..Plan::full_load(child, Encoding::Json, &bodies, CONNECTIONS) },
        rates: Vec::new(),
        costs: Vec::new(),
    });
    for round in 0..=ROUNDS {
        eprintln!("weir · {NAME} · round {round} of {ROUNDS}");
        // Each is first in every other round.
        let first = round % 2;
        sides[first].round()?;
        sides[1 - first].round()?;
    }
    let [open, guarded] = &sides;
    let text = describe(open, guarded);
    without.stop()?;
    with.stop()?;
    Ok(text)
}

fn describe(without: &Side<'_>, with: &Side<'_>) -> String {
    let line = |name: &str, unit: &str, without: &[f64], with: &[f64]| {
        // The first round is a warm-up.
        let (without, with) = (&without[1..], &with[1..]);
        let mut ratios: Vec<f64> = without.iter().zip(with).map(|(without, with)| with / without).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
        format!(
            "{name:<11} without {:.2} {unit}   with {:.2}   ratio {:.3}, in single rounds {least:.3} to {most:.3}, \
             median {:.3}\n",
            mean(without),
            mean(with),
            mean(with) / mean(without),
            ratios[ratios.len() / 2],
        )
    };
    format!(
        "\none record a request on {CONNECTIONS} connections, without and with a token\n{}{}",
        line("throughput", "requests/s", &without.rates, &with.rates),
        line("CPU", "µs per request", &without.costs, &with.costs)
    )
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
