//! The server, and how a test drives it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wacore::store::{CachedServerCertChain, Device};
use wacore_binary::Jid;

use crate::account::{Address, Linked};
use crate::bundle::Bundle;
use crate::line::Order;
use crate::noise::public;
use crate::stanza::conflict;
use crate::world::{State, World};
use crate::{File, Handshake, Refusal, SentText, media, pairing, relay, session, writing};

/// A running server. It ends, and its connections with it, when this is dropped.
///
/// Phone numbers are digits with the country code, as in `5511987650001`.
pub struct FakeWhatsApp {
    world: Arc<World>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl FakeWhatsApp {
    /// Starts a server on a free port of 127.0.0.1.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let world = Arc::new(World::new()?);
        let shared = world.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let world = shared.clone();
                tokio::spawn(async move {
                    if media::is_asked(&stream).await {
                        // Whoever asked has gone.
                        let _gone = media::serve(world, stream).await;
                    } else {
                        session::serve(world, stream).await;
                    }
                });
            }
        });
        Ok(Self {
            world,
            address,
            accepting,
        })
    }

    /// Where a client's transport connects.
    pub fn url(&self) -> String {
        format!("ws://{}/ws/chat", self.address)
    }

    /// What a client that trusts this server has stored of it (`Device.server_cert_chain`).
    pub fn server_key(&self) -> CachedServerCertChain {
        self.world.identity.known.clone()
    }

    /// What a client has stored that was linked to this account and knows this server: put it into the client's store,
    /// and it logs in without a code.
    pub fn linked_device(&self, phone: &str) -> Result<Device> {
        let mut device = Device::new();
        let linked = self.world.change(|state| -> Result<_> {
            let account = state.account(phone)?;
            let address = account.next_device();
            let identity = public(&device.identity_key)?;
            let proof = account.vouch(address.device, &identity)?;
            let proof = account.complete(proof, &device.identity_key)?;
            let bytes = waproto::codec::adv_signed_device_identity_to_vec(&proof);
            let key = public(&device.noise_key)?;
            let linked = Linked::new(key, Bundle::of_device(&device)?, bytes);
            account.devices.insert(address.device, linked);
            Ok((address, proof))
        })?;
        let (address, proof) = linked;
        device.pn = Some(address.jid());
        device.lid = Some(address.lid());
        device.account = Some(Arc::new(proof));
        device.push_name = format!("Loja {phone}");
        device.server_cert_chain = Some(self.server_key());
        Ok(device)
    }

    /// Scans the code that a client shows with the phone of an account. Ends when the client is linked, with the client's
    /// new name; an error if nobody shows this code, or the client refuses.
    pub async fn scan(&self, qr: &str, phone: &str) -> Result<Jid> {
        let device = pairing::scan(&self.world, qr, phone).await?;
        writing::share_keys(&self.world, &device).await?;
        Ok(device)
    }

    /// Types into the phone of an account the code that a client shows for its number; otherwise as [`Self::scan`].
    pub async fn enter_code(&self, code: &str, phone: &str) -> Result<Jid> {
        let device = pairing::enter(&self.world, code, phone).await?;
        writing::share_keys(&self.world, &device).await?;
        Ok(device)
    }

    /// Unlinks all devices of an account, as its owner can on the phone: those that are there hear it now, others (401)
    /// when they come.
    pub fn unlink(&self, phone: &str) {
        self.world.change(|state| {
            for device in state.linked(phone) {
                state.hang_up(&device, Order::Last(conflict("device_removed")));
            }
            if let Some(account) = state.accounts.get_mut(phone) {
                account.devices.clear();
            }
        });
    }

    /// A person writes to an account: each of its linked devices gets the text, those that are away when they come.
    /// Returns the message's id.
    pub async fn send_text(&self, from: &str, to: &str, text: &str) -> Result<String> {
        writing::text(&self.world, from, to, text).await
    }

    /// A person sends a file to an account; otherwise as [`Self::send_text`].
    pub async fn send_file(&self, from: &str, to: &str, file: &File) -> Result<String> {
        let message = media::leave(&self.world, file)?;
        writing::send(&self.world, from, to, &message, None).await
    }

    /// The owner of an account sends a file to somebody else; otherwise as [`Self::send_from_phone`].
    pub async fn send_file_from_phone(&self, owner: &str, to: &str, file: &File) -> Result<String> {
        let message = media::leave(&self.world, file)?;
        writing::own(&self.world, owner, to, message).await
    }

    /// How often files were asked for.
    pub fn fetched(&self) -> usize {
        self.world.read(|state| state.fetched)
    }

    /// The owner of an account writes on the phone to somebody else: the linked devices get a copy. Returns its id.
    pub async fn send_from_phone(&self, owner: &str, to: &str, text: &str) -> Result<String> {
        writing::own_text(&self.world, owner, to, text).await
    }

    /// The texts that clients of an account sent, in the order of their arrival.
    pub fn sent_texts(&self, phone: &str) -> Vec<SentText> {
        let sent = |text: &&SentText| text.from == phone;
        self.world
            .read(|state| state.sent.iter().filter(sent).cloned().collect())
    }

    /// How many texts all clients have sent together.
    pub fn sent_by_all(&self) -> usize {
        self.world.read(|state| state.sent.len())
    }

    /// Waits until clients of an account have sent this many texts, and returns them.
    pub async fn until_sent(&self, phone: &str, count: usize) -> Vec<SentText> {
        self.world
            .until(|state| {
                let sent = state.sent.iter().filter(|text| text.from == phone);
                let sent: Vec<_> = sent.cloned().collect();
                (sent.len() >= count).then_some(sent)
            })
            .await
    }

    /// The receiver of a text opens it on the phone: its sender's devices hear that it was read.
    pub fn read(&self, text: &SentText) {
        let reader = Address {
            phone: text.to.clone(),
            device: 0,
        };
        self.world.change(|state| {
            for device in state.linked(&text.from) {
                let receipt = relay::receipt_from(state, &reader, &text.id, Some("read"));
                state.tell(&device, receipt);
            }
        });
    }

    /// How many messages the devices of an account have not confirmed.
    pub fn unconfirmed(&self, phone: &str) -> usize {
        self.world.read(|state| {
            let devices = state.accounts.get(phone).map(|account| account.devices.values());
            devices
                .into_iter()
                .flatten()
                .map(|device| device.waiting.len())
                .sum()
        })
    }

    /// Waits until the devices of an account have left exactly this many messages unconfirmed.
    pub async fn until_unconfirmed(&self, phone: &str, count: usize) {
        self.world
            .until(|state| (unconfirmed(state, phone) == count).then_some(()))
            .await;
    }

    /// Waits until the devices of an account have confirmed every message.
    pub async fn until_confirmed(&self, phone: &str) {
        self.until_unconfirmed(phone, 0).await;
    }

    /// How often a device could not open a message and asked for it again.
    pub fn retries(&self) -> usize {
        self.world.read(|state| state.retries)
    }

    /// How many connections are open behind a completed handshake.
    pub fn connections(&self) -> usize {
        self.world.read(|state| state.lines().len())
    }

    /// Whether a device of this account has logged in, asked for its messages, and is there.
    pub fn is_connected(&self, phone: &str) -> bool {
        self.world.read(|state| connected(state, phone).is_some())
    }

    /// How many accounts have a device that is there like this.
    pub fn connected_accounts(&self) -> usize {
        self.world.read(|state| {
            let accounts = state.accounts.keys();
            accounts.filter(|phone| connected(state, phone).is_some()).count()
        })
    }

    /// Waits for that.
    pub async fn until_connected(&self, phone: &str) {
        self.world.until(|state| connected(state, phone)).await;
    }

    /// Waits until no device of this account is there.
    pub async fn until_gone(&self, phone: &str) {
        self.world
            .until(|state| {
                let mut lines = state.linked(phone).into_iter();
                let gone = |device| state.device(&device).is_none_or(|device| device.line.is_none());
                lines.all(gone).then_some(())
            })
            .await;
    }

    /// Waits until no device is linked to this account.
    pub async fn until_unlinked(&self, phone: &str) {
        self.world
            .until(|state| state.linked(phone).is_empty().then_some(()))
            .await;
    }

    /// The handshakes of this account's successful logins, in order.
    pub fn logins(&self, phone: &str) -> Vec<Handshake> {
        self.world.read(|state| {
            let devices = state.accounts.get(phone).map(|account| account.devices.values());
            let logins = devices.into_iter().flatten().map(|device| device.logins.clone());
            logins.flatten().collect()
        })
    }

    /// How many connections ended before the handshake did, as those of clients that do not trust the server.
    pub fn broken_handshakes(&self) -> usize {
        self.world.read(|state| state.broken_handshakes)
    }

    /// Waits until there were this many of them.
    pub async fn until_broken_handshakes(&self, count: usize) {
        self.world
            .until(|state| (state.broken_handshakes >= count).then_some(()))
            .await;
    }

    /// Refuses the next login of an account, once; called again, the one after it too.
    pub fn refuse_next(&self, phone: &str, refusal: Refusal) {
        self.refuse(Some(phone.to_owned()), refusal);
    }

    /// Refuses the next client that wants a code, once.
    pub fn refuse_next_stranger(&self, refusal: Refusal) {
        self.refuse(None, refusal);
    }

    fn refuse(&self, who: Option<String>, refusal: Refusal) {
        self.world
            .change(|state| state.refusals.entry(who).or_default().push_back(refusal));
    }

    /// Whether every refusal that was asked for has happened.
    pub fn has_refused_all(&self) -> bool {
        self.world
            .read(|state| state.refusals.values().all(|queue| queue.is_empty()))
    }

    /// Ends the connections of an account's devices as a broken network does.
    pub fn drop_connection(&self, phone: &str) {
        self.world.change(|state| {
            for device in state.linked(phone) {
                state.hang_up(&device, Order::Drop);
            }
        });
    }

    /// Ends the connections of an account's devices as if each had been opened elsewhere.
    pub fn replace_connection(&self, phone: &str) {
        self.world.change(|state| {
            for device in state.linked(phone) {
                state.hang_up(&device, Order::Last(conflict("replaced")));
            }
        });
    }

    /// Takes what devices of an account send and answers nothing, while their connections stay open, and lets them in without a word: or
    /// ends that. What people write meanwhile waits.
    pub fn mute(&self, phone: &str, mute: bool) {
        self.world.change(|state| match mute {
            true => state.muted.insert(phone.to_owned()),
            false => state.muted.remove(phone),
        });
    }

    /// Whether messages name their senders by their second names (`…@lid`), which hide the phone number, as WhatsApp
    /// does more and more; otherwise by phone number.
    pub fn name_by_lid(&self, by_lid: bool) {
        self.world.change(|state| state.by_lid = by_lid);
    }

    /// Whether nothing but these names says who speaks.
    pub fn hide_numbers(&self, hidden: bool) {
        self.world.change(|state| state.hidden = hidden);
    }

    /// Says that nobody has WhatsApp with this number.
    pub fn without_account(&self, phone: &str) {
        self.world.change(|state| state.absent.insert(phone.to_owned()));
    }
}

fn connected(state: &State, phone: &str) -> Option<()> {
    let account = state.accounts.get(phone)?;
    let mut devices = account.devices.values();
    devices
        .any(|device| device.active && device.line.is_some())
        .then_some(())
}

fn unconfirmed(state: &State, phone: &str) -> usize {
    let account = state.accounts.get(phone);
    let devices = account.into_iter().flat_map(|account| account.devices.values());
    devices.map(|device| device.waiting.len()).sum()
}

impl Drop for FakeWhatsApp {
    fn drop(&mut self) {
        self.accepting.abort();
        for line in self.world.read(|state| state.lines()) {
            line.tell(Order::Drop);
        }
    }
}
