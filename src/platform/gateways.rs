//! The gateways as the settings name them, and whoever collects through them.

use std::sync::Arc;

use super::StartError;
use crate::billing::gateways::{Endpoints, Gateways};
use crate::billing::payments::dues::Dues;
use crate::billing::payments::platform::Invoices;
use crate::billing::payments::{Accounts, Payments};
use crate::config::Settings;
use crate::db::master::MasterDb;
use crate::db::tenant::Lanes;
use crate::domain::clock::Clock;
use crate::domain::platform_key::PlatformKey;

pub(super) fn of(settings: &Settings) -> Result<Gateways, StartError> {
    let settings = &settings.gateways;
    let endpoints = Endpoints {
        mercado_pago: settings.mercado_pago_url.clone(),
        stripe: settings.stripe_url.clone(),
        stripe_version: settings.stripe_version.clone(),
        asaas: settings.asaas_url.clone(),
        timeout: settings.timeout,
        patience: settings.patience,
    };
    Gateways::new(endpoints).map_err(|error| StartError::Setting(format!("gateways: {error}")))
}

/// Who collects the platform's invoices and tenants' dues through them.
pub(super) fn payments(
    settings: &Settings,
    gateways: Gateways,
    (master, lanes): (&MasterDb, &Lanes),
    key: &PlatformKey,
    clock: &Clock,
) -> Payments {
    let (server, dues_server) = (settings.server.clone(), settings.server.clone());
    let invoices = Invoices {
        master: master.clone(),
        key: key.clone(),
        tenant_url: Box::new(move |tenant| server.tenant_url(tenant)),
    };
    let dues = Dues {
        master: master.clone(),
        lanes: lanes.clone(),
        clock: clock.clone(),
        tenant_url: Box::new(move |tenant| dues_server.tenant_url(tenant)),
    };
    Payments::new(
        Accounts::new(master.clone(), key.clone(), clock.clone(), gateways),
        master.clone(),
        key.clone(),
        clock.clone(),
        settings.server.base_url(),
        Arc::new(invoices),
    )
    .with_tenants(Arc::new(dues))
}
