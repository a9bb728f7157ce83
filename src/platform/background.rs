//! What the platform does by itself: what every process must hear, and the work that they share.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Platform;
use crate::billing::{clock, metering, payments};
use crate::channels::{assistant, copy_sweep, supervisor};
use crate::mail::{self, worker::Mailer};
use crate::photos::sweep::{self, Sweeper};
use crate::tenancy::storage::{self, StorageMeter};
use crate::tenancy::{listen, moving, reconcile, vault};

const RECONCILE_EVERY: Duration = Duration::from_secs(30);
const SWEEP_EVERY: Duration = Duration::from_secs(30);
const TELL_EVERY: Duration = Duration::from_secs(30);
const PAY_EVERY: Duration = Duration::from_secs(5);

impl Platform {
    /// Hears change notices, and what sockets are told, until `stop`: every process must.
    pub fn watch(&self, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
        vec![
            listen::spawn(
                self.master.clone(),
                self.shards.clone(),
                self.resolver.clone(),
                stop.clone(),
            ),
            self.realtime.spawn(stop.clone()),
        ]
    }

    /// Finishes what was interrupted, lets go of forgotten holds, removes forgotten files, measures what tenants take, moves
    /// subscriptions on, collects, sends mails, runs bots and makes the backups that are due, until `stop`. At least one process must; several
    /// share the work.
    pub fn work(&self, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
        let every = &self.settings.storage;
        let mut work = vec![
            mail::worker::spawn(self.mailer(), stop.clone()),
            reconcile::spawn(
                self.provisioner.clone(),
                self.keeper.clone(),
                RECONCILE_EVERY,
                stop.clone(),
            ),
            moving::watch::spawn(self.mover.clone(), stop.clone()),
            sweep::spawn(self.sweeper(), every.sweep_every, stop.clone()),
            storage::spawn(self.storage_meter(), every.measure_every, stop.clone()),
            metering::background::spawn(
                self.metering.clone(),
                self.lanes.clone(),
                SWEEP_EVERY,
                stop.clone(),
            ),
            metering::alerts::spawn(self.metering.clone(), self.key.clone(), TELL_EVERY, stop.clone()),
        ];
        let billing = &self.settings.billing;
        if billing.clock {
            work.push(clock::background::spawn(
                self.books.clone(),
                billing.every,
                stop.clone(),
            ));
        }
        work.extend(payments::background::spawn(&self.payments, PAY_EVERY, stop));
        if self.settings.channels.run {
            work.push(supervisor::spawn(self.channels.clone(), stop.clone()));
            work.push(copy_sweep::spawn(self.channels.clone(), stop.clone()));
            work.extend(assistant::spawn(self.channels.clone(), stop.clone()));
        }
        work.extend(self.vault.clone().map(|vault| vault::spawn(vault, stop.clone())));
        work
    }

    /// Sends mails.
    pub fn mailer(&self) -> Mailer {
        Mailer {
            master: self.master.clone(),
            key: self.key.clone(),
            clock: self.clock.clone(),
            server: self.settings.server.clone(),
            way: self.mail_way.clone(),
        }
    }

    /// Measures what tenants take on disks.
    pub fn storage_meter(&self) -> StorageMeter {
        StorageMeter {
            master: self.master.clone(),
            shards: self.shards.clone(),
            store: Arc::clone(&self.keeper.store),
            clock: self.clock.clone(),
        }
    }

    /// Removes files that no row names.
    pub fn sweeper(&self) -> Sweeper {
        Sweeper {
            photos: self.photos.clone(),
            master: self.master.clone(),
            lanes: self.lanes.clone(),
            clock: self.clock.clone(),
        }
    }
}
