//! Which variable, file, URL or call leads where.

use std::net::Ipv6Addr;

use crate::program::Way;
use crate::server::{Server, has_ipv6};
use crate::token::{SESSION, good};

#[test]
fn a_server_is_found_by_name_and_by_address() {
    let server = Server::start();
    for url in [server.url(), format!("http://localhost:{}/", server.port)] {
        Way::without_hub("each").env("OTC_URL", url).arg(good("one")).run().is_connected();
    }
}

#[test]
fn a_server_is_found_by_its_ipv6_address() {
    if !has_ipv6() {
        return;
    }
    let server = Server::with(None, Ipv6Addr::LOCALHOST.into());
    for host in ["[::1]", "localhost"] {
        let url = format!("ws://{host}:{}", server.port);
        Way::without_hub("each").env("OTC_URL", url).arg(good("one")).run().is_connected();
    }
    for host in ["::1", "[::1]"] {
        let port = server.port.to_string();
        let way = Way::without_hub("host").arg(host).arg("").arg(port).arg("0").arg(good("one"));
        way.run().is_connected();
    }
}

#[test]
fn the_first_of_variables_and_files_wins() {
    let server = Server::start();
    let nowhere = "ws://127.0.0.1:1";
    let way = || Way::without_hub("each").arg(good("one"));
    way().env("LIVEKIT_URL", server.url()).run().is_connected();
    way().env("OTC_URL", "").env("LIVEKIT_URL", server.url()).run().is_connected();
    way().env("OTC_URL", server.url()).env("LIVEKIT_URL", nowhere).run().is_connected();
    let configured = |url: &str| {
        let way = way();
        std::fs::create_dir(way.folder.path.join("otc")).expect("our own folder");
        way.folder.write("otc/config.toml", &format!("# where sessions are\nurl = \"{url}\"\n"));
        way
    };
    configured(&server.url()).run().is_connected();
    configured(nowhere).env("OTC_URL", server.url()).run().is_connected();
    // And the tests could not pass for another reason.
    way().run().is_error(1006, &["hub"]);
    configured(nowhere).run().is_error(1023, &["127.0.0.1:1"]);
}

#[test]
fn a_session_id_that_is_a_url_leads_to_its_host_and_room() {
    let server = Server::start();
    for id in [format!("{}/{SESSION}", server.url()), format!("http://localhost:{}/{SESSION}", server.port)] {
        let way = Way::without_hub("each").env("TEST_SESSION", id).env("OTC_URL", "ws://127.0.0.1:1");
        way.arg(good("one")).run().is_connected();
    }
    let id = format!("{}/another", server.url());
    Way::without_hub("each")
        .env("TEST_SESSION", id)
        .arg(good("one"))
        .run()
        .is_error(1004, &["another session"]);
    Way::without_hub("each")
        .env("TEST_SESSION", server.url())
        .arg(good("one"))
        .run()
        .is_error(1005, &["URL", "room"]);
}

#[test]
fn what_is_wrong_with_the_configuration_is_named() {
    for (name, url, word) in [
        ("OTC_URL", "nonsense", "scheme"),
        ("OTC_URL", "ftp://127.0.0.1", "scheme"),
        ("OTC_URL", "ws://127.0.0.1:99999", "cannot be read"),
        ("LIVEKIT_URL", "ws://user:hidden@127.0.0.1", "password"),
    ] {
        let told = Way::new("each").env(name, url).arg(good("one")).run();
        told.is_error(1006, &[name, word]);
        assert!(!told.lines[0].contains("hidden"), "{}", told.lines[0]);
    }
    let way = Way::new("each").arg(good("one"));
    std::fs::create_dir(way.folder.path.join("otc")).expect("our own folder");
    way.folder.write("otc/config.toml", "url = ws://127.0.0.1\n");
    way.run().is_error(1006, &["otc/config.toml", "Line 1"]);
}

#[test]
fn a_host_that_the_program_names_comes_before_everything_else() {
    let server = Server::start();
    let way = |host: &str, path: &str, port: &str| {
        let way = Way::without_hub("host").env("OTC_URL", "ws://127.0.0.1:1");
        way.arg(host).arg(path).arg(port).arg("0").arg(good("one"))
    };
    let port = server.port.to_string();
    for host in ["127.0.0.1", "localhost"] {
        way(host, "", &port).run().is_connected();
        way(host, "/", &port).run().is_connected();
    }
    // Below a path there is nothing on this server.
    way("127.0.0.1", "elsewhere", &port).run().is_error(1005, &["404"]);
    for (host, path, port) in [
        ("", "", "80"),
        ("a b", "", "80"),
        ("host/path", "", "80"),
        ("user@host", "", "80"),
        ("host?x", "", "80"),
        ("[::1", "", "80"),
        ("1:2", "", "80"),
        ("host", "a b", "80"),
        ("host", "a?token=b", "80"),
        ("host", "a#b", "80"),
        ("host", "", "0"),
        ("host", "", "-1"),
        ("host", "", "65536"),
    ] {
        assert_eq!(way(host, path, port).run().lines, ["refused 1"], "{host} {path} {port}");
    }
}
