//! Amounts as gateways write them, `10.5` or `"10.50"`, to cents and back: by their digits, never through a float.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::domain::money::Cents;

/// An amount in reais in JSON, a number or a text. Read exactly: one with parts of a cent is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reais(pub(super) Cents);

impl<'de> Deserialize<'de> for Reais {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        let text = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(text);
        cents(text)
            .map(Self)
            .ok_or_else(|| D::Error::custom("not an amount of money"))
    }
}

/// A JSON number with two decimals.
impl Serialize for Reais {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(written(self.0))
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

/// `10.50`
fn written(amount: Cents) -> String {
    format!("{}.{:02}", amount.get() / 100, amount.get() % 100)
}

/// The cents of a decimal number: `10`, `10.5`, `10.500`, `1.05E+1`. None when it is negative, no whole number of cents, or
/// too large.
fn cents(text: &str) -> Option<Cents> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        None => (text, 0),
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() || !(whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(Cents::ZERO);
    }
    // How many places the digits are moved to the left to be cents.
    let places = 2i32
        .checked_add(exponent)?
        .checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let moved = match usize::try_from(places) {
        Ok(more) if more <= 20 => format!("{digits}{}", "0".repeat(more)),
        Ok(_) => return None,
        Err(_) => {
            let cut = digits.len().checked_sub(places.unsigned_abs() as usize)?;
            let (kept, parts) = digits.split_at_checked(cut)?;
            if parts.bytes().any(|digit| digit != b'0') {
                return None;
            }
            kept.to_owned()
        }
    };
    moved.parse().ok().and_then(|cents| Cents::parse(cents).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Option<i64> {
        serde_json::from_str::<Reais>(json)
            .ok()
            .map(|reais| reais.0.get())
    }

    #[test]
    fn amounts_are_read_as_gateways_write_them() {
        for (json, expected) in [
            ("0", 0),
            ("0.00", 0),
            ("10", 1000),
            ("10.5", 1050),
            ("10.50", 1050),
            ("10.500", 1050),
            ("0.1", 10),
            ("0.07", 7),
            ("1.05E+1", 1050),
            ("1e2", 10_000),
            ("1050e-2", 1050),
            ("\"10.50\"", 1050),
            ("99.9", 9990),
            // As a float this is one cent less.
            ("1.15", 115),
            ("90071992547409.91", 9_007_199_254_740_991),
        ] {
            assert_eq!(read(json), Some(expected), "{json}");
        }
    }

    #[test]
    fn what_is_no_whole_number_of_cents_is_refused() {
        for json in [
            "-1",
            "10.505",
            "1e-3",
            "90071992547409.92",
            "1e30",
            "1e-99999999999",
            "1e99999999",
            "null",
            "true",
            "\"\"",
            "\"1,50\"",
            "\"R$ 1\"",
            "\" 1\"",
            "\"0x10\"",
            "{}",
        ] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(amount in 0..=Cents::MAX.get()) {
            let reais = Reais(Cents::parse(amount).expect("in range"));
            let json = serde_json::to_string(&reais).expect("JSON");
            prop_assert_eq!(read(&json), Some(amount));
            prop_assert_eq!(read(&format!("\"{json}\"")), Some(amount));
            // Never a float on the way, which ends with another text.
            let fraction = format!(".{:02}", amount % 100);
            prop_assert!(json.ends_with(&fraction));
        }

        #[test]
        fn reading_never_panics(text in "[0-9eE+.-]{0,12}") {
            let _ = cents(&text);
        }
    }
}
