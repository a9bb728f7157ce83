//! Links to a password, mailed to the address of whoever has none or has forgotten it.

use super::text_enum::text_enum;
use chrono::TimeDelta;

text_enum! {
    /// What a link is for.
    pub enum LinkPurpose {
        /// Another password.
        Reset = "reset",
        /// The first one of somebody who was asked in.
        Invitation = "invitation",
    }
}

impl LinkPurpose {
    /// How long a link of this purpose works.
    pub const fn life(self) -> TimeDelta {
        match self {
            Self::Reset => TimeDelta::hours(1),
            Self::Invitation => TimeDelta::days(7),
        }
    }
}
