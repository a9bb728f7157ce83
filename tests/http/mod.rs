//! The HTTP contract, over real connections to the program as it is served.

mod admin_sessions;
mod errors;
mod hosts;
mod leads;
mod oddities;
mod onboarding;
mod properties;
mod resource;
mod sessions;
mod storefront;
mod vehicles;
