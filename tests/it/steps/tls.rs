//! Certificates, good and bad.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rerail::engine::outcome::{FailureKind, Outcome};
use rerail::steps::world::{World, WorldSettings};
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use crate::steps::kit::{Server, answer, args, perform, read_request};

/// An authority whose certificate the world trusts.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    world: World,
    _project: tempfile::TempDir,
}

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("ca.pem"), issuer.pem()).unwrap();
    Authority { world: world(project.path(), "ca.pem"), issuer, _project: project }
}

fn world(project: &Path, ca: &str) -> World {
    let settings = WorldSettings { project: project.into(), ca: Some(ca.into()), ..WorldSettings::default() };
    World::new(settings).gated(|| Ok(()))
}

/// Serves HTTPS with a certificate for `name`, of the authority or of its own making.
async fn serve(issuer: Option<&Authority>, name: &str, expired: bool) -> Server {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    } else {
        params.not_after = date_time_ymd(2200, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(authority) => params.signed_by(&key, &authority.issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                read_request(&mut stream).await;
                stream.write_all(&answer("200 OK", &[], "hello")).await.ok();
                stream.shutdown().await.ok();
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_write_is_sent_only_to_a_server_whose_certificate_holds() {
    let authority = authority();
    for (issuer, name, expired, outcome) in [
        (Some(&authority), "localhost", false, Outcome::Done),
        (Some(&authority), "localhost", true, Outcome::Refused),
        (Some(&authority), "other.example", false, Outcome::Refused),
        (None, "localhost", false, Outcome::Refused),
    ] {
        let server = serve(issuer, name, expired).await;
        let url = format!("https://localhost:{}/private", server.address.port());
        let attempt =
            perform(&authority.world, "http.request", &args(json!({"method": "POST", "url": url, "text": "body"})))
                .await;
        assert_eq!(attempt.outcome, outcome, "{name} {expired}: {:?}", attempt.failure);
        if let Some(failure) = attempt.failure {
            assert_eq!(failure.kind, FailureKind::Tls, "{}", failure.message);
            assert!(!failure.message.contains("private"), "{}", failure.message);
        }
        let look = perform(&authority.world, "http.probe", &args(json!({"url": url}))).await;
        assert_eq!(look.outcome, Outcome::Done);
        assert_eq!(look.outputs.to_plain()["ok"], json!(outcome == Outcome::Done));
    }
}

#[tokio::test]
async fn a_certificate_is_described_also_when_it_does_not_hold() {
    let authority = authority();
    for (issuer, name, expired, chain_trusted, hostname_ok) in [
        (Some(&authority), "localhost", false, true, true),
        (Some(&authority), "localhost", true, false, true),
        (Some(&authority), "other.example", false, true, false),
        (None, "localhost", false, false, true),
        (None, "other.example", true, false, false),
    ] {
        let server = serve(issuer, name, expired).await;
        let look = args(json!({"host": "127.0.0.1", "port": server.address.port(), "server_name": "localhost"}));
        let attempt = perform(&authority.world, "tls.inspect", &look).await;
        assert_eq!(attempt.outcome, Outcome::Done);
        let outputs = attempt.outputs.to_plain();
        assert_eq!(outputs["ok"], json!(chain_trusted && hostname_ok), "{outputs}");
        assert_eq!(outputs["error"].is_null(), chain_trusted && hostname_ok, "{outputs}");
        assert_eq!(outputs["chain_trusted"], json!(chain_trusted), "{outputs}");
        assert_eq!(outputs["hostname_ok"], json!(hostname_ok), "{outputs}");
        assert_eq!(outputs["names"], json!([name]));
        assert_eq!(outputs["days_left"].as_i64().unwrap() < 0, expired, "{outputs}");
        let end = if expired { "2002-01-01T00:00:00Z" } else { "2200-01-01T00:00:00Z" };
        assert_eq!(outputs["not_after"], json!(end));
    }
}

#[tokio::test]
async fn without_a_certificate_nothing_is_said_of_it() {
    let plain = Server::start(|mut stream| async move {
        stream.write_all(b"220 mail.example.com ESMTP\r\n").await.ok();
        stream.read_u8().await.ok();
    })
    .await;
    let look = args(json!({"host": "127.0.0.1", "port": plain.address.port()}));
    let attempt = perform(&authority().world, "tls.inspect", &look).await;
    let outputs = attempt.outputs.to_plain();
    assert_eq!(
        (attempt.outcome, &outputs["ok"], &outputs["error"]["kind"]),
        (Outcome::Done, &json!(false), &json!("tls"))
    );
    assert!(outputs["days_left"].is_null() && outputs["names"].is_null());
}

#[tokio::test]
async fn an_unusable_ca_file_is_named() {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("empty.pem"), "nothing here").unwrap();
    for ca in ["empty.pem", "gone.pem"] {
        let world = world(project.path(), ca);
        let attempt =
            perform(&world, "http.request", &args(json!({"method": "POST", "url": "https://localhost/"}))).await;
        assert_eq!(attempt.outcome, Outcome::Refused);
        let failure = attempt.failure.unwrap();
        assert_eq!(failure.kind, FailureKind::Tls);
        assert!(failure.message.contains(ca), "{}", failure.message);
    }
}
