//! The program dies as by `kill -9` while it copies a device, or puts a copy back: what has a name is whole, what was put back is all of it,
//! and the same command, repeated, does it. The named points are read from the source, so that a new one is tried by itself.

use wacore::store::traits::{DeviceStore as _, SignalStore as _};

use super::Shop;
use super::shut::link;
use crate::tenancy::killed::{Killed, ended, must_die, points};

const ADDRESS: &str = "5511987650002@s.whatsapp.net";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_a_copy_is_whole_or_not_there() {
    let killed = Killed::start(250).await;
    let test = &killed.test;
    let (admin, shop) = (test.admin().await, Shop::onboard(test, "garage").await);
    let bot = shop.bot(&admin).await;
    let store = shop.open(test, bot).await;
    link(store.as_ref()).await;
    store.put_session(ADDRESS, b"a session").await.expect("stored");
    let (channels, of, name) = (&test.platform.channels, (shop.id, bot), bot.to_string());
    let (mut making, mut putting) = (points("copies"), points("copies"));
    let puts = ["copies.noted", "copies.put_back"];
    making.retain(|point| !puts.contains(&point.as_str()));
    putting.retain(|point| puts.contains(&point.as_str()));
    assert_eq!((making.len(), putting.len()), (3, 2));
    let command = |what: &str| killed.command(&["tenant", what, "garage", &name, "--json"]);
    for point in making {
        let before = channels.list_copies(of).await.expect("listed").len();
        must_die(command("backup-sessions"), &point).await;
        let copies = channels.list_copies(of).await.expect("listed");
        let made = usize::from(point != "copies.sealed");
        assert_eq!(copies.len(), before + made, "{point}");
        for copy in copies {
            assert!(
                channels.open_copy(of, copy.id).await.expect("it opens").is_some(),
                "{point}"
            );
        }
    }
    let lose = format!("delete from {}.whatsapp_devices", shop.schema);
    let audited = "audit_log where action = 'bot.session_restore'";
    for (place, point) in (0..).zip(putting) {
        admin.batch_execute(&lose).await.expect("lost");
        must_die(command("restore-session"), &point).await;
        let there = point == "copies.put_back";
        assert_eq!(
            shop.rows(&admin, "whatsapp_keys").await,
            i64::from(there),
            "{point}"
        );
        assert_eq!(shop.rows(&admin, audited).await, place, "{point}");
        admin.batch_execute(&lose).await.expect("lost");
        let output = ended(command("restore-session")).await;
        assert!(
            output.status.success(),
            "{point}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let store = shop.open(test, bot).await;
        assert!(store.load().await.expect("it opens").is_some(), "{point}");
        assert_eq!(
            store.get_session(ADDRESS).await.expect("it opens").as_deref(),
            Some(b"a session".as_slice())
        );
        // What the dead one and this one have put back.
        let restores = format!(
            "delete from {}.audit_log where action = 'bot.session_restore'",
            shop.schema
        );
        admin.batch_execute(&restores).await.expect("counted anew");
        assert_eq!(shop.rows(&admin, audited).await, 0);
    }
    let wanted = "select count(*) from master.audit_log where action = 'tenant.session_restore'";
    assert_eq!(
        admin
            .query_one(wanted, &[])
            .await
            .expect("a count")
            .get::<_, i64>(0),
        4
    );
}
