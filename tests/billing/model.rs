//! Any sequence of operations does what a few lines of arithmetic say, and leaves counters that add up.

use std::collections::HashMap;

use helixai::billing::metering::{HOLD, MeteringError};
use helixai::domain::metering::ReservationState::{Expired, Held, Released, Settled};
use helixai::domain::metering::{Reservation, ReservationState};
use helixai::domain::month::{BOOKS_TZ, local_month, next_month, start_of_day};
use helixai::domain::usage::Meter;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::tally::{Tally, actual, amount, key};

#[derive(Debug, Clone)]
enum Step {
    Reserve {
        key: u8,
        meter: Meter,
        amount: i64,
    },
    Settle {
        key: u8,
        actual: i64,
    },
    Release {
        key: u8,
    },
    Record {
        key: u8,
        meter: Meter,
        amount: i64,
    },
    /// Time passes, and the sweeper comes.
    Sweep,
    /// Another plan.
    Include {
        messages: i64,
    },
    NextMonth,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (key, size) = (|| 0..7_u8, || 1..60_i64);
    let meter = || prop_oneof![4 => Just(Meter::Messages), 1 => Just(Meter::AiTokens)];
    let step = prop_oneof![
        8 => (key(), meter(), size()).prop_map(|(key, meter, amount)| Step::Reserve { key, meter, amount }),
        6 => (key(), 0..70_i64).prop_map(|(key, actual)| Step::Settle { key, actual }),
        3 => key().prop_map(|key| Step::Release { key }),
        2 => (key(), meter(), size()).prop_map(|(key, meter, amount)| Step::Record { key, meter, amount }),
        2 => Just(Step::Sweep),
        1 => (0..150_i64).prop_map(|messages| Step::Include { messages }),
        1 => Just(Step::NextMonth),
    ];
    prop::collection::vec(step, 1..40)
}

#[derive(Debug, Clone)]
struct Entry {
    meter: Meter,
    amount: i64,
    month: u32,
    state: ReservationState,
    settled: Option<i64>,
}

/// What the steps come to, by arithmetic alone.
#[derive(Default)]
struct Model {
    entries: HashMap<u8, Entry>,
    limit: i64,
    month: u32,
}

impl Model {
    fn used(&self, meter: Meter, month: u32) -> i64 {
        let of_counter = self
            .entries
            .values()
            .filter(|e| e.meter == meter && e.month == month);
        of_counter.filter_map(|e| e.settled).sum()
    }

    fn reserved(&self, meter: Meter, month: u32) -> i64 {
        let of_counter = self
            .entries
            .values()
            .filter(|e| e.meter == meter && e.month == month);
        of_counter.filter(|e| e.state == Held).map(|e| e.amount).sum()
    }

    fn add(&mut self, key: u8, meter: Meter, amount: i64, state: ReservationState) {
        let entry = Entry {
            meter,
            amount,
            month: self.month,
            state,
            settled: (state == Settled).then_some(amount),
        };
        self.entries.insert(key, entry);
    }

    /// What the step must answer: the state and what is booked, or the word of the refusal.
    fn expect(&mut self, step: &Step) -> Result<(ReservationState, Option<i64>), &'static str> {
        match *step {
            Step::Reserve { key, meter, amount } => match self.entries.get(&key) {
                Some(e) if e.meter != meter || e.amount != amount => Err("reused"),
                Some(e) if e.state == Released => Err("released"),
                Some(e) if e.state == Expired => Err("expired"),
                Some(e) => Ok((e.state, e.settled)),
                None => {
                    let limit = if meter == Meter::Messages {
                        self.limit
                    } else {
                        1_000_000
                    };
                    let taken = self.used(meter, self.month) + self.reserved(meter, self.month);
                    if taken + amount > limit {
                        return Err("limit");
                    }
                    self.add(key, meter, amount, Held);
                    Ok((Held, None))
                }
            },
            Step::Settle { key, actual } => match self.entries.get_mut(&key) {
                None => Err("unknown"),
                Some(e) => match e.state {
                    Released => Err("released"),
                    Settled if e.settled != Some(actual) => Err("settled"),
                    _ => {
                        (e.state, e.settled) = (Settled, Some(actual));
                        Ok((e.state, e.settled))
                    }
                },
            },
            Step::Release { key } => match self.entries.get_mut(&key) {
                None => Err("unknown"),
                Some(e) if e.state == Settled => Err("settled"),
                Some(e) => {
                    e.state = Released;
                    Ok((e.state, None))
                }
            },
            Step::Record { key, meter, amount } => match self.entries.get(&key) {
                Some(e) if e.meter == meter && e.settled == Some(amount) => Ok((Settled, Some(amount))),
                Some(_) => Err("reused"),
                None => {
                    self.add(key, meter, amount, Settled);
                    Ok((Settled, Some(amount)))
                }
            },
            Step::Sweep => {
                self.entries
                    .values_mut()
                    .filter(|e| e.state == Held)
                    .for_each(|e| e.state = Expired);
                Ok((Expired, None))
            }
            Step::Include { messages } => {
                self.limit = messages;
                Ok((Held, None))
            }
            Step::NextMonth => {
                self.month += 1;
                Ok((Held, None))
            }
        }
    }
}

fn told(result: Result<Reservation, MeteringError>) -> Result<(ReservationState, Option<i64>), &'static str> {
    let reservation = result.map_err(|error| match error {
        MeteringError::LimitExceeded(..) => "limit",
        MeteringError::KeyReused => "reused",
        MeteringError::Unknown => "unknown",
        MeteringError::Released => "released",
        MeteringError::Expired => "expired",
        MeteringError::Settled => "settled",
        error @ (MeteringError::Busy | MeteringError::Db(_)) => panic!("{error}"),
    })?;
    Ok((reservation.state, reservation.settled_amount))
}

async fn run(tally: &Tally, case: usize, steps: &[Step]) -> Result<(), TestCaseError> {
    // Each case in months of its own, with keys of its own.
    let month = local_month(tally.clock.now(), BOOKS_TZ);
    tally.clock.set(start_of_day(next_month(month), BOOKS_TZ));
    tally.include(Some(100)).await;
    let mut model = Model {
        limit: 100,
        ..Model::default()
    };
    let mut months = vec![next_month(month)];
    let (metering, tenant) = (tally.metering(), tally.tenant);
    for step in steps {
        let name = |number: u8| key(&format!("case-{case}-{number}"));
        let answer = match *step {
            Step::Reserve {
                key,
                meter,
                amount: wanted,
            } => told(metering.reserve(tenant, meter, amount(wanted), &name(key)).await),
            Step::Settle { key, actual: used } => {
                told(metering.settle(tenant, &name(key), actual(used)).await)
            }
            Step::Release { key } => told(metering.release(tenant, &name(key)).await),
            Step::Record {
                key,
                meter,
                amount: used,
            } => {
                let recorded = metering.record(tenant, meter, amount(used), &name(key)).await;
                match recorded {
                    Ok(()) => Ok((Settled, Some(used))),
                    Err(MeteringError::KeyReused) => Err("reused"),
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Sweep => {
                tally.clock.advance(HOLD);
                metering.sweep(&tally.test.platform.lanes).await.expect("swept");
                Ok((Expired, None))
            }
            Step::Include { messages } => {
                tally.include(Some(messages)).await;
                Ok((Held, None))
            }
            Step::NextMonth => {
                let next = next_month(local_month(tally.clock.now(), BOOKS_TZ));
                tally.clock.set(start_of_day(next, BOOKS_TZ));
                months.push(next);
                Ok((Held, None))
            }
        };
        prop_assert_eq!(answer, model.expect(step), "{:?}", step);
    }
    for (number, month) in months.iter().enumerate() {
        for meter in [Meter::Messages, Meter::AiTokens] {
            let row = tally
                .admin
                .query_opt(
                    "select used, reserved from master.usage_counters
                     where tenant_id = $1 and meter = $2 and period_start = $3",
                    &[&tenant.as_uuid(), &meter.as_str(), month],
                )
                .await
                .expect("read");
            let counted = row.map_or((0, 0), |row| (row.get(0), row.get(1)));
            let number = u32::try_from(number).expect("few months");
            prop_assert_eq!(
                counted,
                (model.used(meter, number), model.reserved(meter, number))
            );
        }
    }
    tally.adds_up().await;
    Ok(())
}

#[test]
fn counters_are_always_what_the_ledger_and_the_holds_add_up_to() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let tally = runtime.block_on(Tally::start(100));
    let config = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    let case = std::cell::Cell::new(0);
    TestRunner::new(config)
        .run(&steps(), |steps| {
            case.set(case.get() + 1);
            runtime.block_on(run(&tally, case.get(), &steps))
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    drop(tally);
}
