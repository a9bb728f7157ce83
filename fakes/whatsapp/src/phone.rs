//! A person's phone: the first device of an account, whose secret keys the fake has.
//!
//! It writes to linked devices and reads what they write to it, with the real Signal protocol.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use rand::rngs::StdRng;
use wacore::iq::prekeys::SignedPreKeyNode;
use wacore::libsignal::protocol::error::Result as SignalResult;
use wacore::libsignal::protocol::{
    CiphertextMessageType, Direction, GenericSignedPreKey as _, IdentityChange, IdentityKey, IdentityKeyPair,
    IdentityKeyStore, KeyPair, PreKeyBundle, PreKeyId, PreKeyRecord, PreKeySignalMessage, PreKeyStore,
    ProtocolAddress, SessionRecord, SessionStore, SignalMessage, SignalProtocolError, SignedPreKeyId,
    SignedPreKeyRecord, SignedPreKeyStore, Timestamp, UsePQRatchet, message_decrypt_prekey,
    message_decrypt_signal, message_encrypt, process_prekey_bundle,
};
use wacore::messages::{MessageUtils, decode_plaintext};
use wacore::types::jid::JidExt as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp::Message;

use crate::bundle::Bundle;
use crate::noise::public;
use crate::stanza::{attr, content};

/// The only signed key of a phone.
const SIGNED_KEY: u32 = 1;

/// The secret keys of a phone and its sessions with linked devices.
pub(crate) struct Phone {
    own: Own,
    sessions: Sessions,
    signed: Signed,
}

struct Own {
    keys: IdentityKeyPair,
    registration: u32,
}

#[derive(Default)]
struct Sessions(HashMap<String, SessionRecord>);

struct Signed(SignedPreKeyRecord);

/// A phone gives out no one-time keys.
struct NoOneTime;

impl Phone {
    /// A phone with these identity keys, and what the server tells others of it.
    pub(crate) fn new(keys: &KeyPair) -> Result<(Self, Bundle)> {
        let mut rng: StdRng = rand::make_rng();
        let registration = rand::random_range(1..0x7fff_ffff);
        let pre_key = KeyPair::generate(&mut rng);
        let signature = keys.calculate_signature(&pre_key.public_key.serialize(), &mut rng)?;
        let record = SignedPreKeyRecord::new(
            SIGNED_KEY.into(),
            Timestamp::from_epoch_millis(0),
            &pre_key,
            &signature,
        );
        let node = SignedPreKeyNode::new(SIGNED_KEY, public(&pre_key)?.into(), signature.to_vec());
        let phone = Self {
            own: Own {
                keys: IdentityKeyPair::new(IdentityKey::new(keys.public_key), keys.private_key.clone()),
                registration,
            },
            sessions: Sessions::default(),
            signed: Signed(record),
        };
        Ok((phone, Bundle::new(registration, public(keys)?, node)))
    }

    /// Whether a conversation with this device has begun.
    pub(crate) fn knows(&self, device: &Jid) -> bool {
        let address = device.to_protocol_address();
        self.sessions.0.contains_key(address.as_str())
    }

    /// Begins a conversation with a device.
    pub(crate) async fn begin(&mut self, device: &Jid, bundle: &PreKeyBundle) -> Result<()> {
        process_prekey_bundle(
            &device.to_protocol_address(),
            &mut self.sessions,
            &mut self.own,
            bundle,
            &mut rand::make_rng::<StdRng>(),
            UsePQRatchet::No,
        )
        .await?;
        Ok(())
    }

    /// A message sealed for a device, as `<enc>`.
    pub(crate) async fn seal(&mut self, device: &Jid, message: &Message) -> Result<Node> {
        let sealed = message_encrypt(
            &MessageUtils::encode_and_pad(message),
            &device.to_protocol_address(),
            &mut self.sessions,
            &mut self.own,
        )
        .await?;
        let kind = match sealed.message_type() {
            CiphertextMessageType::PreKey => "pkmsg",
            _ => "msg",
        };
        Ok(NodeBuilder::new("enc")
            .attr("v", "2")
            .attr("type", kind)
            .bytes(sealed.serialize())
            .build())
    }

    /// Opens the `<enc>` that a device sent.
    pub(crate) async fn open(&mut self, device: &Jid, enc: &Node) -> Result<Message> {
        let address = device.to_protocol_address();
        let sealed = content(enc).context("nothing inside")?;
        let mut rng: StdRng = rand::make_rng();
        let opened = match attr(enc, "type").as_deref() {
            Some("pkmsg") => {
                message_decrypt_prekey(
                    &PreKeySignalMessage::try_from(sealed)?,
                    &address,
                    &mut self.sessions,
                    &mut self.own,
                    &mut NoOneTime,
                    &self.signed,
                    &mut rng,
                    UsePQRatchet::No,
                )
                .await?
            }
            Some("msg") => {
                message_decrypt_signal(
                    &SignalMessage::try_from(sealed)?,
                    &address,
                    &mut self.sessions,
                    &mut self.own,
                    &mut rng,
                )
                .await?
            }
            kind => bail!("sealed as {kind:?}"),
        };
        decode_plaintext(&opened.plaintext, 2)
    }
}

#[async_trait]
impl IdentityKeyStore for Own {
    async fn get_identity_key_pair(&self) -> SignalResult<IdentityKeyPair> {
        Ok(self.keys.clone())
    }

    async fn get_local_registration_id(&self) -> SignalResult<u32> {
        Ok(self.registration)
    }

    // A phone of the fake believes the server, which is the fake.
    async fn save_identity(&mut self, _: &ProtocolAddress, _: &IdentityKey) -> SignalResult<IdentityChange> {
        Ok(IdentityChange::NewOrUnchanged)
    }

    async fn is_trusted_identity(
        &self,
        _: &ProtocolAddress,
        _: &IdentityKey,
        _: Direction,
    ) -> SignalResult<bool> {
        Ok(true)
    }

    async fn get_identity(&self, _: &ProtocolAddress) -> SignalResult<Option<IdentityKey>> {
        Ok(None)
    }
}

#[async_trait]
impl SessionStore for Sessions {
    async fn load_session(&self, of: &ProtocolAddress) -> SignalResult<Option<SessionRecord>> {
        Ok(self.0.get(of.as_str()).cloned())
    }

    async fn has_session(&self, of: &ProtocolAddress) -> SignalResult<bool> {
        Ok(self.0.contains_key(of.as_str()))
    }

    async fn store_session(&mut self, of: &ProtocolAddress, record: SessionRecord) -> SignalResult<()> {
        self.0.insert(of.as_str().to_owned(), record);
        Ok(())
    }
}

#[async_trait]
impl SignedPreKeyStore for Signed {
    async fn get_signed_pre_key(&self, _: SignedPreKeyId) -> SignalResult<SignedPreKeyRecord> {
        Ok(self.0.clone())
    }

    async fn save_signed_pre_key(
        &mut self,
        _: SignedPreKeyId,
        record: &SignedPreKeyRecord,
    ) -> SignalResult<()> {
        self.0 = record.clone();
        Ok(())
    }
}

#[async_trait]
impl PreKeyStore for NoOneTime {
    async fn get_pre_key(&self, _: PreKeyId) -> SignalResult<PreKeyRecord> {
        Err(SignalProtocolError::InvalidPreKeyId)
    }

    async fn save_pre_key(&mut self, _: PreKeyId, _: &PreKeyRecord) -> SignalResult<()> {
        Ok(())
    }

    async fn remove_pre_key(&mut self, _: PreKeyId) -> SignalResult<()> {
        Ok(())
    }
}
