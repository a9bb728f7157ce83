//! A closed list of words, stored and sent as text.
//!
//! The database keeps them as `text` with a check constraint (never as an enum type, which would tie statements
//! to one schema), so the words written here are those of the migrations. `text_enum!` gives `ALL`, `WORDS`,
//! `as_str`, `parse`, `Display`, `FromStr`, serde and the OpenAPI schema from one list.

macro_rules! text_enum {
    (
        $(#[$meta:meta])*
        pub enum $type:ident { $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type { $( $(#[$variant_meta])* $variant, )+ }

        impl $type {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Every value as it is written.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The value as it is stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads exactly one of [`Self::WORDS`]; anything else is `unknown_value`.
            pub fn parse(value: &str) -> Result<Self, crate::domain::invalid::Invalid> {
                match value {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(crate::domain::invalid::Invalid::unknown_value(Self::WORDS)),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = crate::domain::invalid::Invalid;

            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Self::parse(value)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Self::parse(&value).map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .enum_values(Some(Self::WORDS.iter().copied()))
                    .into()
            }
        }

        impl utoipa::ToSchema for $type {}
    };
}

pub(crate) use text_enum;

#[cfg(test)]
mod tests {
    super::text_enum! {
        /// Two words.
        pub enum Sample {
            /// One.
            FirstWord = "first_word",
            /// Two.
            Second = "second",
        }
    }

    #[test]
    fn every_word_is_read_back() -> Result<(), Box<dyn std::error::Error>> {
        assert_eq!(Sample::ALL.len(), Sample::WORDS.len());
        for value in Sample::ALL {
            assert_eq!(Sample::parse(value.as_str())?, *value);
            let json = serde_json::to_string(value)?;
            assert_eq!(json, format!("\"{value}\""));
            assert_eq!(serde_json::from_str::<Sample>(&json)?, *value);
        }
        Ok(())
    }

    #[test]
    fn another_word_is_unknown() {
        assert_eq!(Sample::parse("Second").map_err(|e| e.code), Err("unknown_value"));
        assert!(serde_json::from_str::<Sample>("\"third\"").is_err());
    }

    /// A word that only one side knows is a row that cannot be written, or cannot be read.
    #[test]
    fn the_database_knows_the_same_words() {
        use crate::domain::billing::{dunning, invoice};
        use crate::domain::{
            conversation, customer, due, instance, lead_history, mail, message, metering, order, outbox,
            password_link, product, property, role, settings, subscription, tenant, usage, user, vehicle,
        };
        let accounts = include_str!("../../tenant_template/core/V1__accounts.sql");
        let vehicles = include_str!("../../tenant_template/cars/V1__vehicles.sql");
        let properties = include_str!("../../tenant_template/real_estate/V1__properties.sql");
        let conversations = include_str!("../../tenant_template/core/V3__conversations.sql");
        let history = include_str!("../../tenant_template/core/V8__lead_history.sql");
        let items = include_str!("../../tenant_template/general/V1__items.sql");
        let tenants = include_str!("../../master_migrations/V14__lifecycle.sql");
        let subscriptions = include_str!("../../master_migrations/V2__plans_and_subscriptions.sql");
        let usage_tables = include_str!("../../master_migrations/V3__usage.sql");
        let invited = include_str!("../../tenant_template/core/V5__invited_users.sql");
        let links = include_str!("../../tenant_template/core/V10__password_links.sql");
        let mails = include_str!("../../master_migrations/V19__mails.sql");
        let work = include_str!("../../tenant_template/core/V4__work_and_audit.sql");
        let invoices = include_str!("../../master_migrations/V17__invoices.sql");
        let customers = include_str!("../../tenant_template/core/V9__customers.sql");
        let instances = include_str!("../../tenant_template/core/V12__instances.sql");
        for (sql, check, words) in [
            (instances, "channel in (", conversation::Channel::WORDS),
            (instances, "state in (", instance::InstanceState::WORDS),
            (invoices, "kind in (", invoice::InvoiceKind::WORDS),
            (invoices, "status in (", invoice::InvoiceStatus::WORDS),
            (invoices, "kind in (", invoice::LineKind::WORDS),
            (invoices, "kind in (", invoice::LedgerKind::WORDS),
            (invoices, "step in (", dunning::DunningStep::WORDS),
            (invoices, "outcome in (", dunning::DunningOutcome::WORDS),
            (customers, "status in (", customer::CustomerStatus::WORDS),
            (customers, "status in (", customer::CustomerPlanStatus::WORDS),
            (customers, "status in (", order::OrderStatus::WORDS),
            (customers, "status in (", due::DueStatus::WORDS),
            (customers, "kind in (", due::DueKind::WORDS),
            (invited, "status in (", user::UserStatus::WORDS),
            (usage_tables, "meter in (", usage::Meter::WORDS),
            (usage_tables, "state in (", metering::ReservationState::WORDS),
            (links, "purpose in (", password_link::LinkPurpose::WORDS),
            (mails, "state in (", mail::MailState::WORDS),
            (mails, "locale in (", settings::Language::WORDS),
            (work, "state in (", outbox::OutboxState::WORDS),
            (accounts, "role in (", role::Role::WORDS),
            (accounts, "scopes <@ array[", role::Scope::WORDS),
            (vehicles, "status in (", vehicle::VehicleStatus::WORDS),
            (vehicles, "fuel in (", vehicle::Fuel::WORDS),
            (vehicles, "transmission in (", vehicle::Transmission::WORDS),
            (properties, "status in (", property::PropertyStatus::WORDS),
            (properties, "purpose in (", property::Purpose::WORDS),
            (properties, "kind in (", property::PropertyKind::WORDS),
            (conversations, "channel in (", conversation::Channel::WORDS),
            (
                conversations,
                "status in (",
                conversation::ConversationStatus::WORDS,
            ),
            (conversations, "direction in (", message::Direction::WORDS),
            (conversations, "author in (", message::Author::WORDS),
            (conversations, "kind in (", message::MessageKind::WORDS),
            (conversations, "status in (", message::MessageStatus::WORDS),
            (history, "field in (", lead_history::LeadField::WORDS),
            (items, "status in (", product::ProductStatus::WORDS),
            (items, "kind in (", product::ProductKind::WORDS),
            (tenants, "status in (", tenant::TenantStatus::WORDS),
            (tenants, "mode in (", tenant::RestoreMode::WORDS),
            (
                subscriptions,
                "status in (",
                subscription::SubscriptionStatus::WORDS,
            ),
        ] {
            let written = format!("{check}'{}'", words.join("', '"));
            let end = if check.ends_with('[') { "]" } else { ")" };
            assert!(sql.contains(&format!("{written}{end}")), "{written}{end}");
        }
    }
}
