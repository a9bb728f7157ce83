//! The HTTP contract, over real connections to the program as it is served.

mod admin_sessions;
mod api_keys;
mod criar_cliente;
mod errors;
mod hosts;
mod leads;
mod oddities;
mod onboarding;
mod properties;
mod resource;
mod round_trips;
mod sessions;
mod storefront;
mod subscription;
mod vehicles;
