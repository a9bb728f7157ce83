//! A tenant's settings: how it is called, when it is open, what its robots say first.
//!
//! They are stored one by one, so that a setting is added here (a field with its default and its check) without a
//! migration, and one that is stored in a form which is no longer understood counts as not set.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::day;
use super::month::BOOKS_TZ;
use super::{email::Email, invalid::Invalid, phone::Phone, text_enum::text_enum, text_value::text_value};

text_enum! {
    /// What people are spoken to in.
    pub enum Language {
        /// Brazilian Portuguese.
        PtBr = "pt-BR",
        /// English.
        En = "en",
    }
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeZone(String);

text_value!(TimeZone, "A time zone of the IANA database", "America/Sao_Paulo");

impl TimeZone {
    /// Reads the name of a time zone, as `America/Manaus`.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        Tz::from_str(value)
            .map(|zone| Self(zone.name().to_owned()))
            .map_err(|_| Invalid::new("unknown_value", "must be a time zone, as America/Sao_Paulo"))
    }

    /// The zone itself.
    pub fn tz(&self) -> Tz {
        Tz::from_str(&self.0).unwrap_or(BOOKS_TZ)
    }
}

/// A moment of a day, `00:00` to `24:00`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(String);

text_value!(TimeOfDay, "A moment of a day, 00:00 to 24:00", "08:30");

impl TimeOfDay {
    /// Reads `HH:MM`.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::format("must be a moment of a day, 00:00 to 24:00");
        let (hours, minutes) = value.split_once(':').ok_or_else(wrong)?;
        let two_digits = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u8>().ok()).flatten()
        };
        match (two_digits(hours), two_digits(minutes)) {
            (Some(0..=23), Some(0..=59)) | (Some(24), Some(0)) => Ok(Self(value.to_owned())),
            _ => Err(wrong()),
        }
    }
}

/// From when to when something is open on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenHours {
    /// Begin.
    pub from: TimeOfDay,
    /// End, later than the begin.
    pub to: TimeOfDay,
}

/// When a business is open, by the day, in its time zone. A day without hours is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BusinessHours {
    /// At most four spans, in order.
    pub monday: Vec<OpenHours>,
    /// As Monday.
    pub tuesday: Vec<OpenHours>,
    /// As Monday.
    pub wednesday: Vec<OpenHours>,
    /// As Monday.
    pub thursday: Vec<OpenHours>,
    /// As Monday.
    pub friday: Vec<OpenHours>,
    /// As Monday.
    pub saturday: Vec<OpenHours>,
    /// As Monday.
    pub sunday: Vec<OpenHours>,
}

/// Spans of a day, at most.
const SPANS: usize = 4;

impl BusinessHours {
    /// Refuses spans that end before they begin or lie in each other, and more than four on a day.
    pub fn check(self) -> Result<Self, Invalid> {
        let days = [
            &self.monday,
            &self.tuesday,
            &self.wednesday,
            &self.thursday,
            &self.friday,
            &self.saturday,
            &self.sunday,
        ];
        for day in days {
            if day.len() > SPANS {
                return Err(Invalid::new("too_many", "must have at most 4 spans on a day"));
            }
            // Two digits each: the order of the texts is that of the times.
            let moments = day.iter().flat_map(|span| [&span.from, &span.to]);
            if !moments.is_sorted_by(|earlier, later| earlier < later) {
                return Err(Invalid::new(
                    "out_of_order",
                    "the spans of a day must end after they begin, and follow each other",
                ));
            }
        }
        Ok(self)
    }
}

/// Most characters of a greeting and the like.
pub const TEXT_MAX: usize = 2000;

/// What a tenant has set, with what counts for everything that it has not.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Settings {
    /// How customers know the business; the name of the account when it is not set.
    pub company_name: String,
    /// In which its days and hours are meant.
    #[schema(value_type = TimeZone)]
    pub time_zone: TimeZone,
    /// What its people and customers are spoken to in.
    pub language: Language,
    /// When people answer; always when it is not set.
    pub business_hours: Option<BusinessHours>,
    /// What a robot says first.
    pub greeting: Option<String>,
    /// What a robot says outside of the business hours.
    pub away_message: Option<String>,
    /// Where customers may write to.
    #[schema(value_type = Option<Email>)]
    pub contact_email: Option<String>,
    /// Where customers may call.
    #[schema(value_type = Option<Phone>)]
    pub contact_phone: Option<String>,
    /// Where the business is.
    pub address: Option<String>,
}

impl Settings {
    /// What counts for a tenant of this name that has stored these values.
    pub fn of(tenant_name: &str, stored: &Map<String, Value>) -> Self {
        Self {
            company_name: read(stored, "company_name").unwrap_or_else(|| tenant_name.to_owned()),
            time_zone: read(stored, "time_zone").unwrap_or(TimeZone("America/Sao_Paulo".to_owned())),
            language: read(stored, "language").unwrap_or(Language::PtBr),
            business_hours: read(stored, "business_hours"),
            greeting: read(stored, "greeting"),
            away_message: read(stored, "away_message"),
            contact_email: read(stored, "contact_email"),
            contact_phone: read(stored, "contact_phone"),
            address: read(stored, "address"),
        }
    }

    /// The day that it is for the tenant.
    pub fn today(&self, now: DateTime<Utc>) -> NaiveDate {
        day::local(now, self.time_zone.tz())
    }
}

fn read<T: DeserializeOwned>(stored: &Map<String, Value>, key: &str) -> Option<T> {
    stored.get(key).and_then(|value| T::deserialize(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_moment_has_one_form() {
        for good in ["00:00", "09:05", "23:59", "24:00"] {
            assert_eq!(TimeOfDay::parse(good).map(String::from), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "9:05",
            "24:01",
            "25:00",
            "12:60",
            "12",
            "12:5",
            "+1:00",
            "12:00:00",
            "１２:00",
        ] {
            assert!(TimeOfDay::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hours_follow_each_other() {
        let check = |spans: Value| {
            let hours: BusinessHours = serde_json::from_value(json!({ "friday": spans })).unwrap();
            hours.check().map(|_| ()).map_err(|invalid| invalid.code)
        };
        let span = |from: &str, to: &str| json!({"from": from, "to": to});
        assert_eq!(check(json!([])), Ok(()));
        assert_eq!(
            check(json!([span("08:00", "12:00"), span("13:00", "24:00")])),
            Ok(())
        );
        for wrong in [
            json!([span("08:00", "08:00")]),
            json!([span("18:00", "08:00")]),
            json!([span("08:00", "12:00"), span("11:00", "18:00")]),
            json!([span("13:00", "18:00"), span("08:00", "12:00")]),
        ] {
            assert_eq!(check(wrong), Err("out_of_order"));
        }
        assert_eq!(check(json!(vec![span("08:00", "09:00"); 5])), Err("too_many"));
    }

    #[test]
    fn what_is_not_understood_counts_as_not_set() {
        let stored = json!({"language": "fr", "time_zone": 3, "greeting": "Oi", "of_another_program": true});
        let settings = Settings::of("Garagem", stored.as_object().unwrap());
        assert_eq!(settings.language, Language::PtBr);
        assert_eq!(settings.time_zone.as_str(), "America/Sao_Paulo");
        assert_eq!(settings.greeting.as_deref(), Some("Oi"));
        assert_eq!(settings.company_name, "Garagem");
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>()) {
            if let Ok(moment) = TimeOfDay::parse(&text) {
                prop_assert_eq!(TimeOfDay::parse(moment.as_str()), Ok(moment.clone()));
            }
            if let Ok(zone) = TimeZone::parse(&text) {
                prop_assert_eq!(TimeZone::parse(zone.as_str()), Ok(zone.clone()));
            }
        }
    }
}
