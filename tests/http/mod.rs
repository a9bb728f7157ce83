//! The HTTP contract, over real connections to the program as it is served.

mod admin_sessions;
mod admin_tenants;
mod api_keys;
mod criar_cliente;
mod documentation;
mod errors;
mod fairness;
mod health;
mod hosts;
mod leads;
mod logs;
mod oddities;
mod onboarding;
mod outage;
mod properties;
mod resource;
mod round_trips;
mod sessions;
mod settings;
mod shutdown;
mod storefront;
mod subscription;
mod suspension;
mod users;
mod vehicles;
