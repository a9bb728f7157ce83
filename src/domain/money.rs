//! Money: whole cents, never a fraction and never a float.

use super::invalid::Invalid;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// An amount in cents of a real, not negative.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(try_from = "i64", into = "i64")]
#[schema(value_type = i64, minimum = 0, maximum = 9007199254740991i64, example = 4599000)]
pub struct Cents(i64);

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount: the largest whole number that every JSON reader keeps exact (2^53 − 1).
    pub const MAX: Self = Self(9_007_199_254_740_991);

    /// Reads an amount.
    pub fn parse(cents: i64) -> Result<Self, Invalid> {
        if (0..=Self::MAX.0).contains(&cents) {
            Ok(Self(cents))
        } else {
            Err(Invalid::out_of_range(0, Self::MAX.0))
        }
    }

    /// The amount in cents.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for Cents {
    type Error = Invalid;

    fn try_from(cents: i64) -> Result<Self, Invalid> {
        Self::parse(cents)
    }
}

impl From<Cents> for i64 {
    fn from(amount: Cents) -> Self {
        amount.0
    }
}

/// As Brazilians write it: `R$ 1.234,56`.
impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reais = (self.0 / 100).to_string();
        f.write_str("R$ ")?;
        for (place, digit) in reais.chars().enumerate() {
            if place > 0 && (reais.len() - place).is_multiple_of(3) {
                f.write_str(".")?;
            }
            write!(f, "{digit}")?;
        }
        write!(f, ",{:02}", self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_written_as_brazilians_do() -> Result<(), Invalid> {
        for (cents, written) in [
            (0, "R$ 0,00"),
            (5, "R$ 0,05"),
            (99_999, "R$ 999,99"),
            (123_456, "R$ 1.234,56"),
            (12_345_678_900, "R$ 123.456.789,00"),
        ] {
            assert_eq!(Cents::parse(cents)?.to_string(), written);
        }
        Ok(())
    }

    #[test]
    fn negative_and_inexact_amounts_are_refused() {
        assert!(Cents::parse(-1).is_err());
        assert!(Cents::parse(i64::MIN).is_err());
        assert!(Cents::parse(Cents::MAX.get() + 1).is_err());
        assert!(serde_json::from_str::<Cents>("-1").is_err());
        assert!(serde_json::from_str::<Cents>("1.5").is_err());
    }

    proptest! {
        #[test]
        fn the_digits_are_the_amount(cents in 0..=Cents::MAX.0) {
            let digits: String = Cents(cents).to_string().chars().filter(char::is_ascii_digit).collect();
            prop_assert_eq!(digits.parse::<i64>(), Ok(cents));
        }
    }
}
