//! What a tenant is: where it stands in its life, and the trade it is in.

use super::{invalid::Invalid, text_enum::text_enum, text_value::text_value};

text_enum! {
    /// Where a tenant stands in its life.
    pub enum TenantStatus {
        /// Its schema is being made.
        Provisioning = "provisioning",
        /// Served.
        Active = "active",
        /// Stopped by an operator: nothing is served, and the database refuses its role.
        Suspended = "suspended",
        /// Being put away: nothing is served any more.
        Archiving = "archiving",
        /// Put away: its data is kept in a snapshot, nothing is served.
        Archived = "archived",
        /// Being brought back from where it was put away.
        Restoring = "restoring",
        /// Its data is being removed.
        Deleting = "deleting",
        /// Its schema could not be made.
        Failed = "failed",
    }
}

text_enum! {
    /// What the tenant of a restore is without it.
    pub enum RestoreMode {
        /// Nothing: its row was made for the restore and goes with it.
        New = "new",
        /// A tenant that lives and is served meanwhile.
        Over = "over",
        /// Put away: its row stays, its place is taken for the restore.
        Archived = "archived",
    }
}

/// The trade a tenant is in, which decides the tables of its catalogue: the name of a folder of templates.
/// Which ones there are is known to the templates, not here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Niche(String);

text_value!(Niche, "A trade: the name of a template", "cars");

impl Niche {
    /// Dealers of cars and motorcycles.
    pub const CARS: &'static str = "cars";
    /// Estate agents.
    pub const REAL_ESTATE: &'static str = "real_estate";
    /// Every other business.
    pub const GENERAL: &'static str = "general";

    /// Reads a name: 2 to 31 of `a-z`, `0-9`, `_`, beginning with a letter.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        if value.is_empty() {
            return Err(Invalid::required());
        }
        let is_name = (2..=31).contains(&value.len())
            && value.starts_with(|first: char| first.is_ascii_lowercase())
            && value
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if is_name {
            Ok(Self(value.to_owned()))
        } else {
            Err(Invalid::format(
                "must be 2 to 31 of a-z, 0-9 and _, beginning with a letter",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shipped_niches_are_names() {
        for niche in [Niche::CARS, Niche::REAL_ESTATE, Niche::GENERAL] {
            assert_eq!(Niche::parse(niche).map(String::from), Ok(niche.to_owned()));
        }
        for value in [
            "Cars",
            "c",
            "1a",
            "_a",
            "a-b",
            "a/b",
            "../a",
            "a\0b",
            "carros ",
            &"a".repeat(32),
        ] {
            assert_eq!(
                Niche::parse(value).map_err(|e| e.code),
                Err("invalid_format"),
                "{value:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>()) {
            let _ = Niche::parse(&text);
        }
    }
}
