//! The parts of a vehicle that have rules of their own.

use super::{invalid::Invalid, text_enum::text_enum, text_value::text_value};
use serde::Serialize;
use utoipa::ToSchema;

text_enum! {
    /// Where a vehicle stands on its way to being sold.
    pub enum VehicleStatus {
        /// Being prepared; nobody outside sees it.
        Draft = "draft",
        /// Offered in the storefront.
        Published = "published",
        /// Promised to somebody.
        Reserved = "reserved",
        /// Sold.
        Sold = "sold",
        /// Put away.
        Archived = "archived",
    }
}

text_enum! {
    /// What a vehicle runs on.
    pub enum Fuel {
        /// Gasolina.
        Gasoline = "gasoline",
        /// Etanol.
        Ethanol = "ethanol",
        /// Gasoline, ethanol, or any mix of them.
        Flex = "flex",
        /// Diesel.
        Diesel = "diesel",
        /// Electricity.
        Electric = "electric",
        /// Both fuel and electricity.
        Hybrid = "hybrid",
        /// Compressed natural gas (GNV).
        Cng = "cng",
    }
}

text_enum! {
    /// How gears are changed.
    pub enum Transmission {
        /// By hand.
        Manual = "manual",
        /// By itself.
        Automatic = "automatic",
        /// A manual gearbox worked by a machine.
        Automated = "automated",
        /// Without steps.
        Cvt = "cvt",
    }
}

macro_rules! bounded_number {
    ($(#[$meta:meta])* $type:ident, $min:tt, $max:tt, $example:tt) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = i32, minimum = $min, maximum = $max, example = $example)]
        pub struct $type(i32);

        impl $type {
            /// Reads a number within the bounds.
            pub fn parse(value: i64) -> Result<Self, Invalid> {
                i32::try_from(value)
                    .ok()
                    .filter(|value| ($min..=$max).contains(value))
                    .map(Self)
                    .ok_or_else(|| Invalid::out_of_range($min, $max))
            }

            /// The number, as it is stored.
            pub const fn get(self) -> i32 {
                self.0
            }
        }
    };
}

bounded_number!(
    /// A year of make or model.
    Year, 1900, 2100, 2024
);
bounded_number!(
    /// How far a vehicle has been driven, in kilometres.
    MileageKm, 0, 9_999_999, 43_000
);

/// A Brazilian plate without punctuation: `ABC1234` or, of the Mercosul form, `ABC1D23`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plate(String);

text_value!(
    Plate,
    "A plate of the old form (ABC1234) or of Mercosul's (ABC1D23)",
    "ABC1D23",
    private
);

impl Plate {
    /// Reads a plate; case, spaces and hyphens do not matter.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        if value.trim().is_empty() {
            return Err(Invalid::required());
        }
        let plate: String = value.trim().chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let plate = plate.to_ascii_uppercase();
        let fits = |(place, byte): (usize, u8)| match place {
            0..=2 => byte.is_ascii_uppercase(),
            4 => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            _ => byte.is_ascii_digit(),
        };
        if plate.len() == 7 && plate.bytes().enumerate().all(fits) {
            Ok(Self(plate))
        } else {
            Err(Invalid::format("must be a plate, as ABC1234 or ABC1D23"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plates_of_both_forms_are_read() {
        for (value, plate) in [
            ("abc-1234", "ABC1234"),
            (" ABC1D23 ", "ABC1D23"),
            ("abc 1d23", "ABC1D23"),
        ] {
            assert_eq!(Plate::parse(value).map(String::from), Ok(plate.to_owned()));
        }
        for value in [
            "ABC123", "AB11234", "ABC12345", "ABCD123", "ABC1DD3", "ÁBC123", "ABC1D2\0",
        ] {
            assert_eq!(
                Plate::parse(value).map_err(|e| e.code),
                Err("invalid_format"),
                "{value:?}"
            );
        }
    }

    #[test]
    fn numbers_are_bounded() {
        assert_eq!(Year::parse(2024).map(Year::get), Ok(2024));
        assert!(Year::parse(1899).is_err() && Year::parse(2101).is_err() && Year::parse(i64::MAX).is_err());
        assert!(MileageKm::parse(0).is_ok() && MileageKm::parse(-1).is_err());
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>(), near in "[a-zA-Z]{3}-?[0-9][0-9a-zA-Z][0-9]{2}") {
            let _ = Plate::parse(&text);
            let plate = Plate::parse(&near);
            prop_assert!(plate.is_ok());
            if let Ok(plate) = plate {
                prop_assert_eq!(Plate::parse(plate.as_str()), Ok(plate.clone()));
            }
        }
    }
}
