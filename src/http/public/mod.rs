//! Routes that anybody may use at any address: health, the price list, the page that mailed links lead to.

pub mod health;
pub mod password_page;
pub mod plans;
