//! Properties: what is told of one, and the parts that have rules of their own.

use super::ids::{PropertyId, UserId};
use super::photo::Photo;
use super::{bounded::bounded_number, invalid::Invalid, text_enum::text_enum, text_value::text_value};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

text_enum! {
    /// Where a property stands on its way to a buyer or tenant.
    pub enum PropertyStatus {
        /// Being prepared; nobody outside sees it.
        Draft = "draft",
        /// Offered in the storefront.
        Published = "published",
        /// Promised to somebody.
        Reserved = "reserved",
        /// Sold.
        Sold = "sold",
        /// Let.
        Rented = "rented",
        /// Put away.
        Archived = "archived",
    }
}

text_enum! {
    /// What a property is offered for.
    pub enum Purpose {
        /// Venda.
        Sale = "sale",
        /// Aluguel.
        Rent = "rent",
    }
}

text_enum! {
    /// What a property is.
    pub enum PropertyKind {
        /// Casa.
        House = "house",
        /// Apartamento.
        Apartment = "apartment",
        /// Terreno.
        Land = "land",
        /// Sala, loja, galpão.
        Commercial = "commercial",
        /// Sítio, chácara, fazenda.
        Rural = "rural",
    }
}

bounded_number!(
    /// A number of rooms.
    Rooms, 0, 500, 3
);
bounded_number!(
    /// A number of cars.
    ParkingSpaces, 0, 5000, 2
);

/// An area in square metres, to the hundredth.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = f64, minimum = 0.01, maximum = 9_999_999_999.99, example = 84.5)]
pub struct AreaM2(f64);

impl AreaM2 {
    const MAX: f64 = 9_999_999_999.99;

    /// Reads an area: more than nothing, with at most two decimals.
    pub fn parse(value: f64) -> Result<Self, Invalid> {
        if !(0.01..=Self::MAX).contains(&value) {
            return Err(Invalid::new(
                "out_of_range",
                "must be between 0.01 and 9999999999.99",
            ));
        }
        let hundredths = (value * 100.0).round();
        // The nearest number that has two decimals, or else the client meant one that has more.
        if hundredths / 100.0 == value {
            Ok(Self(value))
        } else {
            Err(Invalid::format("must have at most two decimals"))
        }
    }

    /// The area.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// A Brazilian postal code (CEP): eight digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PostalCode(String);

text_value!(
    PostalCode,
    "A CEP, with or without punctuation",
    "01310100",
    private
);

impl PostalCode {
    /// Reads a code; spaces, dots and hyphens do not matter.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        if value.trim().is_empty() {
            return Err(Invalid::required());
        }
        let code: String = value.chars().filter(|c| !matches!(c, ' ' | '.' | '-')).collect();
        if code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(code))
        } else {
            Err(Invalid::format("must be a CEP, as 01310-100"))
        }
    }
}

/// The two letters of a Brazilian state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State(String);

text_value!(State, "The two letters of a Brazilian state", "SP");

const STATES: [&str; 27] = [
    "AC", "AL", "AM", "AP", "BA", "CE", "DF", "ES", "GO", "MA", "MG", "MS", "MT", "PA", "PB", "PE", "PI",
    "PR", "RJ", "RN", "RO", "RR", "RS", "SC", "SE", "SP", "TO",
];

impl State {
    /// Reads a state; case does not matter.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let state = value.trim().to_ascii_uppercase();
        if STATES.contains(&state.as_str()) {
            Ok(Self(state))
        } else {
            Err(Invalid::unknown_value(&STATES))
        }
    }
}

/// What anybody may know of a property: not the street it is in.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PropertyOffer {
    /// Its id.
    pub id: PropertyId,
    /// Its headline.
    pub title: String,
    /// The agent's own code, as on the signs.
    pub reference: Option<String>,
    /// What it is offered for.
    #[schema(value_type = Purpose)]
    pub purpose: String,
    /// What it is.
    #[schema(value_type = PropertyKind)]
    pub kind: String,
    /// To buy it, or to rent it for a month. None: on request.
    pub price_cents: Option<i64>,
    /// Per month.
    pub condo_fee_cents: Option<i64>,
    /// IPTU, per year.
    pub iptu_cents: Option<i64>,
    /// Of any size.
    pub bedrooms: Option<i16>,
    /// Bedrooms with a bathroom.
    pub suites: Option<i16>,
    /// Of any kind.
    pub bathrooms: Option<i16>,
    /// Room for cars.
    pub parking: Option<i16>,
    /// Square metres.
    #[schema(value_type = Option<AreaM2>)]
    pub area_m2: Option<f64>,
    /// Bairro.
    pub neighbourhood: Option<String>,
    /// Município.
    pub city: Option<String>,
    /// Two letters.
    #[schema(value_type = Option<State>)]
    pub state: Option<String>,
    /// Any number of lines.
    pub description: Option<String>,
    /// In the order in which they are shown.
    pub photos: Vec<Photo>,
    /// When it was first published.
    pub published_at: Option<DateTime<Utc>>,
}

/// A property as its agent sees it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Property {
    /// The public part.
    #[serde(flatten)]
    pub offer: PropertyOffer,
    /// Eight digits.
    #[schema(value_type = Option<PostalCode>)]
    pub postal_code: Option<String>,
    /// Not shown in the storefront.
    pub street: Option<String>,
    /// Not shown in the storefront.
    pub street_number: Option<String>,
    /// Not shown in the storefront.
    pub complement: Option<String>,
    /// Where it stands.
    #[schema(value_type = PropertyStatus)]
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
    fn an_area_has_two_decimals() {
        for area in [0.01, 0.29, 1.0, 84.5, 1_000_000.07, 9_999_999_999.99] {
            assert_eq!(AreaM2::parse(area).map(AreaM2::get), Ok(area));
        }
        for area in [0.0, -1.0, 0.001, 1e10, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(
                AreaM2::parse(area).map_err(|e| e.code),
                Err("out_of_range"),
                "{area}"
            );
        }
        for area in [84.555, 0.010_000_1] {
            assert_eq!(
                AreaM2::parse(area).map_err(|e| e.code),
                Err("invalid_format"),
                "{area}"
            );
        }
    }

    #[test]
    fn codes_have_one_spelling() {
        for value in ["01310-100", "01.310-100", " 01310100 "] {
            assert_eq!(
                PostalCode::parse(value).map(String::from),
                Ok("01310100".to_owned())
            );
        }
        for value in ["0131010", "013101000", "0131010a", "٠١٣١٠١٠٠"] {
            assert_eq!(
                PostalCode::parse(value).map_err(|e| e.code),
                Err("invalid_format"),
                "{value}"
            );
        }
        assert_eq!(State::parse(" sp ").map(String::from), Ok("SP".to_owned()));
        for value in ["", "S", "XX", "São Paulo", "SP\0"] {
            assert_eq!(
                State::parse(value).map_err(|e| e.code),
                Err("unknown_value"),
                "{value}"
            );
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>(), area in any::<f64>(), cents in 1..1_000_000_000_000_i64) {
            if let Ok(code) = PostalCode::parse(&text) {
                prop_assert_eq!(PostalCode::parse(code.as_str()), Ok(code.clone()));
            }
            let _ = State::parse(&text);
            let _ = AreaM2::parse(area);
            // Whatever has two decimals is read as it was written.
            let written = format!("{}.{:02}", cents / 100, cents % 100);
            prop_assert!(AreaM2::parse(written.parse().unwrap_or_default()).is_ok(), "{}", written);
        }
    }
}
