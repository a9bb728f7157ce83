//! What is written is read, and nothing else is.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use chrono::DateTime;
use proptest::prelude::*;
use sha2::Digest as _;

use super::*;
use crate::domain::ids::TenantId;
use crate::domain::platform_key::PlatformKey;

fn key(byte: u8) -> PlatformKey {
    let mut key = [byte; 32];
    key[0] = 0;
    PlatformKey::new(&key)
}

fn header(tables: &[&str]) -> Header {
    Header {
        made_at: DateTime::UNIX_EPOCH,
        program: "0.0.0".to_owned(),
        tenant: HeaderTenant {
            id: TenantId::new(),
            key: "garage-alpha".to_owned(),
            name: "Garage".to_owned(),
            niche: "cars".to_owned(),
            document: None,
            owner_email: "ana@garage.example".to_owned(),
            suspended_reason: None,
            domains: Vec::new(),
            subscription: None,
        },
        template: BTreeMap::from([("core".to_owned(), 1)]),
        tables: tables
            .iter()
            .map(|name| HeaderTable {
                name: (*name).to_owned(),
                columns: vec!["id".to_owned()],
            })
            .collect(),
        left_out: Vec::new(),
    }
}

/// Two tables, one of them of several frames, and a file.
fn sample() -> (Vec<u8>, u64) {
    let mut writer = Writer::new(Vec::new(), &header(&["leads", "users"])).unwrap();
    writer.table("leads").unwrap();
    for number in 0..60_000 {
        writer.rows(format!("{number}\tAna\n").as_bytes()).unwrap();
    }
    assert_eq!(writer.end_table().unwrap(), 60_000);
    writer.table("users").unwrap();
    writer.rows(b"1\n2\n").unwrap();
    writer.end_table().unwrap();
    let photo = vec![7; CHUNK + 5];
    writer.file("photo.jpg", photo.len() as u64).unwrap();
    writer.bytes(&photo).unwrap();
    writer.end_file().unwrap();
    let (bytes, summary) = writer.finish(&key(1)).unwrap();
    assert_eq!(summary.bytes, bytes.len() as u64);
    assert_eq!(summary.rows, 60_002);
    (bytes, summary.rows)
}

/// The same bytes, encrypted.
fn encrypted(plain: &[u8]) -> Vec<u8> {
    let mut out = Output::new(Vec::new(), Some(&key(1))).unwrap();
    out.write_all(plain).unwrap();
    let (bytes, stored) = out.finish().unwrap();
    assert_eq!(stored.bytes, bytes.len() as u64);
    assert_eq!(stored.sha256[..], sha2::Sha256::digest(&bytes)[..]);
    bytes
}

/// Both forms of [`sample`].
fn samples() -> [Vec<u8>; 2] {
    let plain = sample().0;
    [encrypted(&plain), plain]
}

/// All of it, read to the end.
fn read(bytes: &[u8]) -> Result<Vec<Part>, SnapshotError> {
    let mut reader = Reader::open(Cursor::new(bytes), &key(1))?;
    let mut parts = Vec::new();
    while let Some(part) = reader.next()? {
        parts.push(part);
    }
    assert!(reader.digest().is_some());
    if reader.is_sealed_by(&key(1)) {
        Ok(parts)
    } else {
        Err(SnapshotError::OtherPlatform)
    }
}

#[test]
fn what_is_written_is_read() {
    let (bytes, rows) = sample();
    let parts = read(&bytes).unwrap();
    let mut lines = 0;
    let mut names = Vec::new();
    for part in &parts {
        match part {
            Part::Rows(rows) => {
                assert!(rows.len() <= CHUNK);
                lines += rows.iter().filter(|byte| **byte == b'\n').count() as u64;
            }
            Part::Table(number) => names.push(format!("table {number}")),
            Part::File { name, length } => names.push(format!("{name} of {length}")),
            _ => {}
        }
    }
    assert_eq!(lines, rows);
    assert_eq!(names, ["table 0", "table 1", "photo.jpg of 262149"]);
    assert!(parts.len() > 8, "several frames: {}", parts.len());
    assert_eq!(read(&encrypted(&bytes)).unwrap(), parts);
}

#[test]
fn an_encrypted_snapshot_shows_nothing_and_is_never_the_same() {
    let (plain, _) = sample();
    let (one, other) = (encrypted(&plain), encrypted(&plain));
    assert!(plain.len() > 2 * 64 * 1024, "several pieces: {}", plain.len());
    assert_ne!(one[58..90], other[58..90]);
    let shown = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|part| part == what);
    assert!(shown(&plain, MAGIC.as_slice()) && !shown(&one, MAGIC.as_slice()));
    let mut reader = Reader::open(Cursor::new(&one), &key(1)).unwrap();
    assert!(reader.is_encrypted());
    while reader.next().unwrap().is_some() {}
    assert!(matches!(
        Reader::open(Cursor::new(&one), &key(2)).map(|_| ()),
        Err(SnapshotError::OtherKey)
    ));
}

#[test]
fn pieces_that_are_swapped_left_out_or_another_files_are_refused() {
    // Head, then two whole pieces of equal length.
    let (head, piece) = (58, 5 + 64 * 1024 + 16);
    let whole = encrypted(&sample().0);
    let (first, second) = (head..head + piece, head + piece..head + 2 * piece);
    let swapped = [
        &whole[..head],
        &whole[second.clone()],
        &whole[first.clone()],
        &whole[second.end..],
    ]
    .concat();
    let without = [&whole[..head], &whole[second.clone()], &whole[second.end..]].concat();
    let twice = [&whole[..second.end], &whole[second.clone()], &whole[second.end..]].concat();
    let other = encrypted(&sample().0);
    let mixed = [&whole[..first.end], &other[second.start..]].concat();
    let mut declared_last = whole[..first.end].to_vec();
    declared_last[head] = 1;
    for bytes in [swapped, without, twice, mixed, declared_last] {
        assert!(matches!(read(&bytes), Err(SnapshotError::Damaged(_))));
    }
    // A snapshot that is whole in pieces that are not: the last piece is missing.
    assert!(matches!(
        read(&whole[..second.end]),
        Err(SnapshotError::Truncated)
    ));
}

#[test]
fn a_snapshot_that_ends_anywhere_is_refused() {
    for bytes in samples() {
        for length in (0..bytes.len()).step_by(997).chain(bytes.len() - 70..bytes.len()) {
            match read(&bytes[..length]) {
                Err(SnapshotError::Truncated) => {}
                Err(SnapshotError::NotASnapshot) => assert!(length < MAGIC.len()),
                other => panic!("{length}: {other:?}"),
            }
        }
    }
}

#[test]
fn what_follows_the_end_is_refused() {
    for mut bytes in samples() {
        bytes.push(0);
        assert!(matches!(read(&bytes), Err(SnapshotError::Damaged(_))));
    }
}

#[test]
fn another_key_or_a_newer_format_is_refused() {
    let writer = Writer::new(Vec::new(), &header(&[])).unwrap();
    let (bytes, _) = writer.finish(&key(2)).unwrap();
    assert!(matches!(read(&bytes), Err(SnapshotError::OtherPlatform)));
    let writer = Writer::with_format(Vec::new(), &header(&[]), FORMAT + 1).unwrap();
    let (bytes, _) = writer.finish(&key(1)).unwrap();
    assert!(matches!(read(&bytes), Err(SnapshotError::Newer(_))));
    assert!(matches!(
        read(b"PGDMP\x01\x0f\0 a custom dump"),
        Err(SnapshotError::NotASnapshot)
    ));
}

#[test]
fn tables_are_those_of_the_header_in_its_order() {
    for tables in [
        &["users", "leads"][..],
        &["leads"],
        &["leads", "users", "users"],
        &["leads", "other"],
    ] {
        let mut writer = Writer::new(Vec::new(), &header(&["leads", "users"])).unwrap();
        for table in tables {
            writer.table(table).unwrap();
            writer.end_table().unwrap();
        }
        let (bytes, _) = writer.finish(&key(1)).unwrap();
        assert!(
            matches!(read(&bytes), Err(SnapshotError::Damaged(_))),
            "{tables:?}"
        );
    }
}

#[test]
fn a_row_that_is_not_ended_is_refused() {
    let mut writer = Writer::new(Vec::new(), &header(&["leads"])).unwrap();
    writer.table("leads").unwrap();
    writer.rows(b"1\n2").unwrap();
    writer.end_table().unwrap();
    let (bytes, _) = writer.finish(&key(1)).unwrap();
    assert!(matches!(read(&bytes), Err(SnapshotError::Damaged(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn one_other_byte_anywhere_is_seen(at in any::<prop::sample::Index>(), flipped in 1..=255_u8) {
        thread_local!(static SAMPLES: [Vec<u8>; 2] = samples());
        for mut bytes in SAMPLES.with(Clone::clone) {
            let at = at.index(bytes.len());
            bytes[at] ^= flipped;
            prop_assert!(read(&bytes).is_err(), "byte {}", at);
        }
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(read(&bytes).is_err());
        // As far as the frames.
        let mut begun = MAGIC.to_vec();
        begun.extend_from_slice(&FORMAT.to_be_bytes());
        begun.extend_from_slice(&bytes);
        prop_assert!(read(&begun).is_err());
        prop_assert!(read(&encrypted(&begun)).is_err());
        // Where a piece should begin.
        let mut begun = encrypted(b"")[..58].to_vec();
        begun.extend_from_slice(&bytes);
        prop_assert!(read(&begun).is_err());
    }

    #[test]
    fn any_bytes_behind_a_header_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut writer = Writer::new(Vec::new(), &header(&["leads"])).unwrap();
        writer.table("leads").unwrap();
        let (mut whole, _) = writer.finish(&key(1)).unwrap();
        whole.truncate(whole.len() - 65);
        whole.extend_from_slice(&bytes);
        prop_assert!(read(&whole).is_err());
        prop_assert!(read(&encrypted(&whole)).is_err());
    }
}
