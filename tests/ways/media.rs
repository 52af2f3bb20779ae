//! Media where no UDP gets through.

use crate::program::Way;
use crate::proxy::{Manner, proxy, way};
use crate::server::Server;
use crate::token::good;

const SEEN: [&str; 1] = ["seen and heard"];

#[test]
fn a_film_comes_by_tcp() {
    let server = Server::without_udp();
    let way = Way::without_hub("film").env("OTC_URL", server.url());
    let told = way.arg(good("one")).arg(good("two")).run();
    assert_eq!(told.lines, SEEN, "{}", told.log);
}

#[test]
fn a_film_comes_through_the_proxy_of_the_settings() {
    let server = Server::without_udp();
    let (port, opened) = proxy(&server, Manner::Guarded);
    let url = format!("http://user:pass%20word@127.0.0.1:{port}");
    let told = way("film", &server, &url).arg(good("one")).arg(good("two")).run();
    assert_eq!(told.lines, SEEN, "{}", told.log);
    // Each has a link, the one sends media and the other gets it.
    assert_eq!((opened.count_to(server.port), opened.count_to(server.media_port)), (2, 2));
}
