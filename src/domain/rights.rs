//! Who may do what: each operation has one [`Need`], and this table is the only place that answers it.
//!
//! The answers are words rather than a yes or no because the database checks them, in the same round trip as the
//! credentials. A new kind of right is a variant here; never compare roles elsewhere.

use super::role::{Role, Scope};

/// What an operation demands of whoever asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Need {
    /// To be signed in as a person: one's own password, logging out. Not for API keys.
    SignedIn,
    /// To see the tenant's data.
    Read,
    /// To change the tenant's data.
    Write,
    /// To decide what the tenant's customers owe, and in which words they are told.
    Trade,
    /// To run the tenant: users, API keys, settings. Not for API keys.
    Manage,
    /// To decide about the tenant: subscription, export, closing it. Not for API keys.
    Own,
}

const ALL: &[&str] = &[Role::Owner.as_str(), Role::Manager.as_str(), Role::Agent.as_str()];
const MANAGERS: &[&str] = &[Role::Owner.as_str(), Role::Manager.as_str()];
const OWNERS: &[&str] = &[Role::Owner.as_str()];

/// The roles whose users may.
pub const fn roles_allowed(need: Need) -> &'static [&'static str] {
    match need {
        Need::SignedIn | Need::Read | Need::Write => ALL,
        Need::Trade | Need::Manage => MANAGERS,
        Need::Own => OWNERS,
    }
}

/// The scope with which an API key may; `None` where no key may.
pub const fn scope_for_api_key(need: Need) -> Option<Scope> {
    match need {
        Need::Read => Some(Scope::Read),
        Need::Write | Need::Trade => Some(Scope::Write),
        Need::SignedIn | Need::Manage | Need::Own => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_next_may() {
        for need in [
            Need::SignedIn,
            Need::Read,
            Need::Write,
            Need::Trade,
            Need::Manage,
            Need::Own,
        ] {
            let allowed: Vec<_> = Role::ALL
                .iter()
                .map(|role| roles_allowed(need).contains(&role.as_str()))
                .collect();
            assert!(allowed.is_sorted_by(|higher, lower| higher >= lower), "{need:?}");
            assert_eq!(allowed.first(), Some(&true), "the owner may do anything");
        }
    }

    #[test]
    fn no_api_key_manages() {
        assert_eq!(scope_for_api_key(Need::Read), Some(Scope::Read));
        assert_eq!(scope_for_api_key(Need::Write), Some(Scope::Write));
        assert_eq!(scope_for_api_key(Need::Trade), Some(Scope::Write));
        for need in [Need::SignedIn, Need::Manage, Need::Own] {
            assert_eq!(scope_for_api_key(need), None);
        }
    }
}
