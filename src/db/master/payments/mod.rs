//! How money comes in: accounts at gateways, charges, what gateways tell, saved cards, refunds, and what somebody has to
//! look at.
//!
//! Whoever books what became of charges locks those of their subject first, in the order of their ids ([`charges::lock`]), then the
//! subscription, then the invoice: so no two of them wait for each other. Who holds a subscription or an invoice and comes to
//! charges leaves those alone that somebody has locked ([`charges::recheck_subject`]).

pub mod accounts;
pub mod applied;
pub mod bills;
pub mod cards;
pub mod charges;
pub mod events;
pub mod findings;
pub mod orders;
pub mod refunds;
pub mod turns;

use std::str::FromStr;

use crate::db::DbError;

/// Reads a word that a check constraint has let in.
fn word<T: FromStr>(text: &str, column: &'static str) -> Result<T, DbError> {
    text.parse().map_err(|_| DbError::Other {
        code: "driver".to_owned(),
        message: format!("{column} holds an unknown value"),
    })
}
