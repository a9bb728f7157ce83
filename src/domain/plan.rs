//! Plans: what is sold, and how much of it.

use super::invalid::{FieldErrors, Invalid};
use super::money::Cents;
use super::text_enum::text_enum;
use super::text_value::text_value;
use serde::Serialize;
use utoipa::ToSchema;

/// Code of the plan that copies of tenants have: the program needs it as it is, and nobody buys it.
pub const SANDBOX: &str = "sandbox";
/// Longest code.
const CODE_MAX: usize = 40;
/// Longest trial, in days.
const TRIAL_MAX: i64 = 90;

/// What programs call a plan: `starter`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PlanCode(String);

text_value!(PlanCode, "What programs call a plan: a-z, 0-9 and _.", "starter");

impl std::fmt::Debug for PlanCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PlanCode({})", self.0)
    }
}

impl PlanCode {
    /// Reads a code: 2 to 40 of `a-z`, `0-9` and `_`, a letter first.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        if value.is_empty() {
            return Err(Invalid::required());
        }
        if value.len() > CODE_MAX {
            return Err(Invalid::too_long(CODE_MAX));
        }
        let fits = value.len() > 1
            && value.starts_with(|c: char| c.is_ascii_lowercase())
            && value
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if fits {
            Ok(Self(value.to_owned()))
        } else {
            Err(Invalid::format(
                "must be a letter, then letters a-z, digits and _",
            ))
        }
    }
}

text_enum! {
    /// Whether a plan is for sale.
    pub enum PlanStatus {
        /// It is.
        Active = "active",
        /// It is not; whoever has bought it keeps it.
        Retired = "retired",
    }
}

text_enum! {
    /// What a plan limits.
    pub enum PlanMeter {
        /// Messages sent in a month.
        Messages = "messages",
        /// Tokens of language models in a month.
        AiTokens = "ai_tokens",
        /// Bots at any time.
        Instances = "instances",
        /// Flows at any time.
        Flows = "flows",
        /// Message templates at any time.
        Templates = "templates",
        /// People who may log in, at any time.
        Users = "users",
        /// Bytes of rows and files, at any time.
        StorageBytes = "storage_bytes",
    }
}

/// How much of something a plan includes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlanLimit {
    /// Of what: `messages` and `ai_tokens` per month; `instances`, `flows`, `templates`, `users`, `storage_bytes` at any time.
    pub meter: String,
    /// None: as much as one likes.
    pub limit: Option<i64>,
}

/// What one version of a plan says. Never changed once published: who has bought it keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanTerms {
    /// Of a month.
    pub price: Cents,
    /// Days of the trial.
    pub trial_days: i32,
    /// At most one of each meter, in order of their names; what is not named is not part of the plan.
    pub limits: Vec<PlanLimit>,
}

impl PlanTerms {
    /// Checks the terms: a trial of at most 90 days; each meter once, with a limit that is not negative; and what is counted
    /// per month always among them.
    ///
    /// # Errors
    /// The refused fields.
    pub fn check(
        price_cents: Option<i64>,
        trial_days: i64,
        limits: Option<Vec<(String, Option<i64>)>>,
    ) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::new();
        let price = errors.require("price_cents", price_cents, Cents::parse);
        let trial = i32::try_from(trial_days)
            .ok()
            .filter(|days| (0..=TRIAL_MAX).contains(&i64::from(*days)))
            .ok_or_else(|| Invalid::out_of_range(0, TRIAL_MAX));
        let trial_days = errors.check("trial_days", trial);
        let limits = errors.require("limits", limits, Ok);
        let limits = limits.and_then(|limits| check_limits(limits, &mut errors));
        errors.finish(|| {
            Some(Self {
                price: price?,
                trial_days: trial_days?,
                limits: limits?,
            })
        })
    }
}

fn check_limits(given: Vec<(String, Option<i64>)>, errors: &mut FieldErrors) -> Option<Vec<PlanLimit>> {
    let mut limits: Vec<PlanLimit> = Vec::with_capacity(given.len());
    for (index, (meter, limit)) in given.into_iter().enumerate() {
        let field = format!("limits[{index}]");
        let Some(meter) = errors.check(&format!("{field}.meter"), PlanMeter::parse(&meter)) else {
            continue;
        };
        if limits.iter().any(|known| known.meter == meter.as_str()) {
            errors.push(
                &format!("{field}.meter"),
                Invalid::new("duplicate", "is there already"),
            );
        }
        if limit.is_some_and(|limit| Cents::parse(limit).is_err()) {
            errors.push(
                &format!("{field}.limit"),
                Invalid::out_of_range(0, Cents::MAX.get()),
            );
        }
        limits.push(PlanLimit {
            meter: meter.as_str().to_owned(),
            limit,
        });
    }
    for needed in [PlanMeter::AiTokens, PlanMeter::Messages] {
        if !limits.iter().any(|limit| limit.meter == needed.as_str()) {
            errors.push(
                "limits",
                Invalid::new("meter_missing", format!("must say how many {needed}")),
            );
        }
    }
    limits.sort_by(|one, other| one.meter.cmp(&other.meter));
    Some(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_words_of_programs() {
        for code in ["starter", "pro_2027", "ab"] {
            assert!(PlanCode::parse(code).is_ok(), "{code}");
        }
        let long = "a".repeat(41);
        for code in [
            "",
            "a",
            "Pro",
            "2pro",
            "_pro",
            "pro-plus",
            "pró",
            "a b",
            long.as_str(),
        ] {
            assert!(PlanCode::parse(code).is_err(), "{code}");
        }
    }

    fn terms(limits: &[(&str, Option<i64>)]) -> Result<PlanTerms, FieldErrors> {
        let limits = limits
            .iter()
            .map(|(meter, limit)| ((*meter).to_owned(), *limit))
            .collect();
        PlanTerms::check(Some(100), 7, Some(limits))
    }

    #[test]
    fn what_is_counted_each_month_is_always_limited_or_said_to_be_free() -> Result<(), FieldErrors> {
        let found = terms(&[("messages", Some(1)), ("ai_tokens", None)])?;
        assert_eq!(
            found.limits,
            [("ai_tokens", None), ("messages", Some(1))].map(|(meter, limit)| PlanLimit {
                meter: meter.to_owned(),
                limit
            })
        );
        let both = [("messages", Some(1)), ("ai_tokens", None)];
        for more in [("messages", Some(2)), ("users", Some(-1)), ("cars", Some(1))] {
            assert!(terms(&[both[0], both[1], more]).is_err(), "{more:?}");
        }
        for one in both {
            assert!(terms(&[one]).is_err(), "{one:?}");
        }
        Ok(())
    }
}
