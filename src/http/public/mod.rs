//! Routes that anybody may use: health, the storefronts, the API's own description.

pub mod health;
