//! Everything the server knows: accounts, connections, messages on their way, refusals to come.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use tokio::sync::watch;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::account::{Account, Address, Linked};
use crate::line::{Line, Order};
use crate::noise::Identity;
use crate::pairing::Stranger;
use crate::refusal::Refusal;
use crate::{SentText, stanza};

pub(crate) struct World {
    pub(crate) identity: Identity,
    state: Mutex<State>,
    /// Told of each change, for those who wait for one.
    changed: watch::Sender<()>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) accounts: BTreeMap<String, Account>,
    /// Connections that show a code and belong to no account, by number.
    pub(crate) strangers: BTreeMap<u64, Stranger>,
    /// Phone numbers without an account.
    pub(crate) absent: BTreeSet<String>,
    /// What the next logins hear, by phone number; nobody's number is for strangers.
    pub(crate) refusals: HashMap<Option<String>, VecDeque<Refusal>>,
    /// Whether messages name their senders by their second names.
    pub(crate) by_lid: bool,
    /// Whether nothing else names them then.
    pub(crate) hidden: bool,
    /// Files by their paths: each sealed, with its hash.
    pub(crate) files: BTreeMap<String, (Vec<u8>, Vec<u8>)>,
    /// How often files were asked for.
    pub(crate) fetched: usize,
    /// Accounts whose devices are neither heard nor answered.
    pub(crate) muted: BTreeSet<String>,
    pub(crate) sent: Vec<SentText>,
    pub(crate) broken_handshakes: usize,
    pub(crate) retries: usize,
    last: u64,
}

impl World {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            identity: Identity::generate()?,
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state())
    }

    /// Changes something, and wakes those who wait.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let outcome = change(&mut self.state());
        self.changed.send_replace(());
        outcome
    }

    /// Waits until a look finds something.
    pub(crate) async fn until<T>(&self, look: impl Fn(&State) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = self.read(&look) {
                return found;
            }
            // The sender lives as long as `self`.
            let _lives = changes.changed().await;
        }
    }
}

impl State {
    /// A number that was not given before.
    pub(crate) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A message's id that was not given before.
    pub(crate) fn id(&mut self) -> String {
        format!("FA4E{:016X}", self.number())
    }

    /// The account of a phone number, made when it is first asked for: everybody has WhatsApp, except the absent.
    pub(crate) fn account(&mut self, phone: &str) -> Result<&mut Account> {
        let digits = !phone.is_empty() && phone.bytes().all(|byte| byte.is_ascii_digit());
        if self.absent.contains(phone) || !digits {
            bail!("{phone} has no account");
        }
        if !self.accounts.contains_key(phone) {
            self.accounts.insert(phone.to_owned(), Account::new(phone)?);
        }
        self.accounts.get_mut(phone).context("an account")
    }

    pub(crate) fn device(&self, address: &Address) -> Option<&Linked> {
        self.accounts.get(&address.phone)?.devices.get(&address.device)
    }

    pub(crate) fn device_mut(&mut self, address: &Address) -> Option<&mut Linked> {
        let account = self.accounts.get_mut(&address.phone)?;
        account.devices.get_mut(&address.device)
    }

    /// The linked devices of an account.
    pub(crate) fn linked(&self, phone: &str) -> Vec<Address> {
        let Some(account) = self.accounts.get(phone) else {
            return Vec::new();
        };
        let devices = account.devices.keys();
        devices.map(|device| account.address.with(*device)).collect()
    }

    /// Every connection.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let devices = self
            .accounts
            .values()
            .flat_map(|account| account.devices.values());
        let devices = devices.filter_map(|device| device.line.clone());
        let strangers = self.strangers.values().map(|stranger| stranger.line.clone());
        devices.chain(strangers).collect()
    }

    /// Keeps a message for a device until it confirms it, and sends it to one that wants its messages.
    pub(crate) fn deliver(&mut self, to: &Address, id: &str, message: Node) {
        let Some(device) = self.device_mut(to) else {
            return;
        };
        if device.active
            && let Some(line) = &device.line
        {
            line.send(message.clone());
        }
        device.waiting.push((id.to_owned(), message));
    }

    /// Sends a stanza to a device that is there.
    pub(crate) fn tell(&self, to: &Address, node: Node) {
        if let Some(line) = self.device(to).and_then(|device| device.line.as_ref()) {
            line.send(node);
        }
    }

    /// Sends what waits for a device, marked as late, then says that this was all.
    pub(crate) fn catch_up(&mut self, of: &Address) {
        let Some(device) = self.device_mut(of) else {
            return;
        };
        device.active = true;
        let Some(line) = &device.line else {
            return;
        };
        for (place, (_, message)) in device.waiting.iter().enumerate() {
            let mut message = message.clone();
            message.attrs.insert("offline", place);
            line.send(message);
        }
        let offline = NodeBuilder::new("offline").attr("count", device.waiting.len());
        line.send(stanza::from_server("ib").children([offline.build()]).build());
    }

    /// Ends a device's connection, if there is one.
    pub(crate) fn hang_up(&mut self, device: &Address, order: Order) {
        if let Some(device) = self.device_mut(device)
            && let Some(line) = device.line.take()
        {
            device.active = false;
            line.tell(order);
        }
    }

    /// What the next login of a number hears, if it is refused.
    pub(crate) fn refusal(&mut self, phone: Option<&str>) -> Option<Refusal> {
        let queue = self.refusals.get_mut(&phone.map(str::to_owned))?;
        queue.pop_front()
    }

    /// How a device's account is named in messages to others: the name, and the other name as an attribute.
    pub(crate) fn named(&self, from: &Address) -> (Jid, Option<(&'static str, Jid)>) {
        let plain = from.with(0);
        if self.by_lid {
            (from.lid(), (!self.hidden).then(|| ("sender_pn", plain.jid())))
        } else {
            (from.jid(), Some(("sender_lid", plain.lid())))
        }
    }
}
