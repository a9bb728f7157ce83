//! How a tenant comes to be, is found, and stops being served.

mod provisioning;
