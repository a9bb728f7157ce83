//! Vehicles: what is told of one, and the parts that have rules of their own.

use super::ids::{UserId, VehicleId};
use super::photo::Photo;
use super::{bounded::bounded_number, invalid::Invalid, text_enum::text_enum, text_value::text_value};
use chrono::{DateTime, Utc};
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

/// What anybody may know of a vehicle.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct VehicleOffer {
    /// Its id.
    pub id: VehicleId,
    /// Its headline.
    pub title: String,
    /// Who builds it.
    pub make: String,
    /// What it is called.
    pub model: String,
    /// When it was built.
    pub year_manufacture: Option<i16>,
    /// Of which year's model.
    pub year_model: Option<i16>,
    /// None: on request.
    pub price_cents: Option<i64>,
    /// How far it has been driven.
    pub mileage_km: Option<i32>,
    /// What it runs on.
    #[schema(value_type = Option<Fuel>)]
    pub fuel: Option<String>,
    /// How gears are changed.
    #[schema(value_type = Option<Transmission>)]
    pub transmission: Option<String>,
    /// In the seller's words.
    pub color: Option<String>,
    /// Any number of lines.
    pub description: Option<String>,
    /// In the order in which they are shown.
    pub photos: Vec<Photo>,
    /// When it was first published.
    pub published_at: Option<DateTime<Utc>>,
}

/// A vehicle as its seller sees it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Vehicle {
    /// The public part.
    #[serde(flatten)]
    pub offer: VehicleOffer,
    /// Upper case, no hyphen.
    #[schema(value_type = Option<Plate>)]
    pub plate: Option<String>,
    /// Where it stands.
    #[schema(value_type = VehicleStatus)]
    pub status: String,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// Who added it; none when a program did, or when the user is gone.
    pub created_by: Option<UserId>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
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
