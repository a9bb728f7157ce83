//! The device itself.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::zeroize::Zeroizing;
use wacore::stats::StorageResourceReport;
use wacore::store::Device;
use wacore::store::device::DEVICE_PROPS;
use wacore::store::error::Result;
use wacore::store::traits::DeviceStore;

use super::sealing::Sealing;
use super::{Store, read, written};
use crate::db::tenant::whatsapp;
use crate::domain::ids::{InstanceId, TenantId};
use crate::domain::platform_key::PlatformKey;

/// Whether a device, as it is stored, is linked to an account. One that does not open is of no use to anybody.
pub fn is_linked(key: &PlatformKey, (tenant, instance): (TenantId, InstanceId), sealed: &[u8]) -> bool {
    let opened = Sealing::new(key.clone(), tenant, instance).open_device(sealed);
    let device = opened.and_then(|opened| read::<Device>("device", &opened));
    device.is_ok_and(|device| device.pn.is_some())
}

#[async_trait]
impl DeviceStore for Store {
    async fn save(&self, device: &Device) -> Result<()> {
        let sealed = self.sealing.seal_device(&written(device)?);
        let save = whatsapp::save_device(self.instance, sealed, self.clock.now());
        self.run(save).await?;
        Ok(())
    }

    async fn load(&self) -> Result<Option<Device>> {
        let Some(sealed) = self.run(whatsapp::find_device(self.instance)).await? else {
            return Ok(None);
        };
        let opened: Zeroizing<Vec<u8>> = self.sealing.open_device(&sealed)?;
        let mut device: Device = read("device", &opened)?;
        // What it says of itself while it is linked is not among what is kept.
        device.device_props = Arc::new(DEVICE_PROPS.clone());
        Ok(Some(device))
    }

    async fn exists(&self) -> Result<bool> {
        self.run(whatsapp::has_device(self.instance)).await
    }

    /// A store has one device: its number is 1.
    async fn create(&self) -> Result<i32> {
        let sealed = self.sealing.seal_device(&written(&Device::new())?);
        let make = whatsapp::make_device(self.instance, sealed, self.clock.now());
        self.run(make).await?;
        Ok(1)
    }

    async fn resource_report(&self) -> StorageResourceReport {
        StorageResourceReport {
            memory_bytes: Some(0),
            ..StorageResourceReport::default()
        }
    }
}
