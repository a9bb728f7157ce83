//! The public keys of a device, by which others begin a conversation with it.

use std::collections::VecDeque;

use anyhow::{Context, Result};
use wacore::iq::prekeys::{OneTimePreKeyNode, PreKeyBundleUserNode, SignedPreKeyNode};
use wacore::libsignal::protocol::{IdentityKey, PreKeyBundle, PublicKey};
use wacore::prekeys::compute_key_bundle_digest;
use wacore::protocol::ProtocolNode;
use wacore::store::Device;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp::client_payload::DevicePairingRegistrationData;

use crate::noise::public;
use crate::stanza::{child, children};

/// What a server keeps of a device's keys. Each one-time key is given out once.
#[derive(Clone)]
pub(crate) struct Bundle {
    registration: u32,
    pub(crate) identity: [u8; 32],
    signed: SignedPreKeyNode,
    one_time: VecDeque<OneTimePreKeyNode>,
}

impl Bundle {
    pub(crate) fn new(registration: u32, identity: [u8; 32], signed: SignedPreKeyNode) -> Self {
        Self {
            registration,
            identity,
            signed,
            one_time: VecDeque::new(),
        }
    }

    /// The keys with which a device asks to be linked.
    pub(crate) fn of_registration(data: DevicePairingRegistrationData) -> Result<Self> {
        let signed = SignedPreKeyNode::new(
            number(&data.e_skey_id.context("no signed key's number")?),
            data.e_skey_val.context("no signed key")?,
            data.e_skey_sig.context("no signature")?,
        );
        let registration = number(&data.e_regid.context("no registration")?);
        let identity = data.e_ident.context("no identity")?;
        Ok(Self::new(registration, identity.as_slice().try_into()?, signed))
    }

    /// The keys of a device that was linked before.
    pub(crate) fn of_device(device: &Device) -> Result<Self> {
        let signed = SignedPreKeyNode::new(
            device.signed_pre_key_id,
            device.signed_pre_key.public_key.public_key_bytes().to_vec(),
            device.signed_pre_key_signature.to_vec(),
        );
        let identity = public(&device.identity_key)?;
        Ok(Self::new(device.registration_id, identity, signed))
    }

    /// Takes what a device uploads; its one-time keys are added.
    pub(crate) fn upload(&mut self, query: &Node) -> Result<()> {
        self.registration = number(child(query, "registration")?);
        self.identity = child(query, "identity")?.try_into()?;
        self.rotate(query)?;
        let list = query.get_optional_child("list").context("no list")?;
        for key in children(list) {
            let key = OneTimePreKeyNode::try_from_node_ref(&key.as_node_ref())?;
            self.one_time.push_back(key);
        }
        Ok(())
    }

    /// Takes a new signed key, found directly in `node`.
    pub(crate) fn rotate(&mut self, node: &Node) -> Result<()> {
        let signed = node.get_optional_child("skey").context("no signed key")?;
        self.signed = SignedPreKeyNode::try_from_node_ref(&signed.as_node_ref())?;
        Ok(())
    }

    /// How many one-time keys are left.
    pub(crate) fn left(&self) -> usize {
        self.one_time.len()
    }

    /// The keys for one who wants to write to this device, with one one-time key if any is left.
    pub(crate) fn give(&mut self, jid: Jid, device_identity: Option<Vec<u8>>) -> Node {
        let user = PreKeyBundleUserNode {
            jid,
            registration_id: self.registration,
            identity_key: self.identity.to_vec(),
            signed_pre_key: self.signed.clone(),
            one_time_pre_key: self.one_time.pop_front(),
            device_identity,
        };
        user.into_node()
    }

    /// The same for the fake's own phones.
    pub(crate) fn take(&mut self, device: u16) -> Result<PreKeyBundle> {
        let one_time = self.one_time.pop_front();
        let one_time = one_time.map(|key| -> Result<_> {
            let public = PublicKey::from_djb_public_key_bytes(&key.public_bytes)?;
            Ok((key.id.into(), public))
        });
        let identity = PublicKey::from_djb_public_key_bytes(&self.identity)?;
        Ok(PreKeyBundle::new(
            self.registration,
            u32::from(device).into(),
            one_time.transpose()?,
            self.signed.id.into(),
            PublicKey::from_djb_public_key_bytes(&self.signed.public_bytes)?,
            self.signed.signature.clone(),
            IdentityKey::new(identity),
        )?)
    }

    /// What the server has, for the device to compare.
    pub(crate) fn digest(&self) -> Node {
        let keys: Vec<&[u8]> = self.one_time.iter().map(|key| &key.public_bytes[..]).collect();
        let hash = compute_key_bundle_digest(
            &self.identity,
            &self.signed.public_bytes,
            &self.signed.signature,
            &keys,
        );
        let ids = self.one_time.iter().map(|key| {
            let id = key.id.to_be_bytes();
            NodeBuilder::new("id").bytes(&id[1..]).build()
        });
        let leaf = |tag, bytes: &[u8]| NodeBuilder::new(tag).bytes(bytes).build();
        NodeBuilder::new("digest")
            .children([
                leaf("registration", &self.registration.to_be_bytes()),
                leaf("type", &[5]),
                leaf("identity", &self.identity),
                self.signed.clone().into_node(),
                NodeBuilder::new("list").children(ids).build(),
                leaf("hash", &hash),
            ])
            .build()
    }
}

/// A number of up to four bytes, the highest first.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}
