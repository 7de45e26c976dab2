//! A person at a desk: signs in over HTTPS by the authorization-code flow with PKCE, through the very
//! page that a browser is shown, and asks the directory who they are.
//!
//! This is the hidden subcommand `portolan lab person`, which a scenario runs on the workstation. It
//! reads a question on standard input and prints each step, and the answer, as a line of JSON.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderValue, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use portolan_chart::{Chart, Flow, Role, Transport, flow};
use portolan_model::{DnsName, Entropy as _};
use portolan_net::entropy::SystemEntropy;
use portolan_net::http as net_http;
use portolan_net::tls::{self, Revocation, Roots, Trust};
use portolan_net::{Network, NetworkConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::form::Form;
use crate::report::Failure;

/// Octets of a question.
const QUESTION_OCTETS_MAX: u64 = 64 * 1024;
/// Where the application would wait for the code. Nothing listens: the code is read off the answer.
const REDIRECT_URI: &str = "http://localhost";
/// What the application asks for.
const SCOPE: &str = "openid profile User.Read";

/// Who signs in, and where.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// The domain that the tenant's hosts are below.
    pub(super) domain: String,
    /// The tenant's id.
    pub(super) tenant: String,
    /// The application's id.
    pub(super) client: String,
    /// The tenant's CA certificate, as PEM.
    pub(super) ca: PathBuf,
    /// The user principal name.
    pub(super) user: String,
    /// What is typed as the password.
    pub(super) password: String,
}

/// A line of what is printed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// Something was done.
    Step {
        /// Seconds since the beginning.
        at: f64,
        /// The row it went by.
        row: String,
        /// What.
        what: String,
    },
    /// The person is signed in; this is the name that the directory gives them.
    SignedIn {
        /// `displayName` of `/me`.
        name: String,
    },
    /// The person was not let in, with the page's own words.
    Refused {
        /// The complaint on the page.
        words: String,
    },
}

/// Runs `portolan lab person`.
pub(in crate::lab) async fn run() -> Result<(), Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(QUESTION_OCTETS_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Failure::because("cannot read the question", &error))?;
    let question = serde_json::from_str(&text)
        .map_err(|error| Failure::because("this is no question", &error))?;
    let answer = Person::new(question)?.sign_in().await?;
    print(&answer)
}

fn print(line: &Line) -> Result<(), Failure> {
    let text = serde_json::to_string(line)
        .map_err(|error| Failure::because("cannot write the answer", &error))?;
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| Failure::because("cannot write to standard output", &error))
}

/// The person, with an application on the same desk.
struct Person {
    question: Question,
    chart: Chart,
    client: net_http::Client,
    began: std::time::Instant,
    cookies: Vec<(String, String)>,
}

impl Person {
    fn new(question: Question) -> Result<Self, Failure> {
        let chart = Chart::default_edition();
        let network = Network::new(NetworkConfig::new(chart.clone(), Role::Workstation))?;
        let path = &question.ca;
        let pem = std::fs::read(path).map_err(|error| {
            Failure::because(&format!("cannot read {}", path.display()), &error)
        })?;
        let roots = Roots::from_pem(&pem)
            .map_err(|error| Failure::because("the tenant's authority is not right", &error))?;
        let revocation = Revocation::by_crl(network.clone(), flow::WORKSTATION_TENANT_CRL);
        let tls = tls::Client::new(Trust::Roots(roots), revocation);
        let client = net_http::Client::tls(network, tls, net_http::ClientLimits::default());
        let began = portolan_net::clock::monotonic();
        Ok(Self { question, chart, client, began, cookies: Vec::new() })
    }

    async fn sign_in(&mut self) -> Result<Line, Failure> {
        let verifier = URL_SAFE_NO_PAD.encode(SystemEntropy.array::<32>());
        let state = URL_SAFE_NO_PAD.encode(SystemEntropy.array::<16>());
        let form = self.ask_for_the_page(&verifier, &state).await?;
        let code = match self.post(&form, &state).await? {
            Ok(code) => code,
            Err(words) => return Ok(Line::Refused { words }),
        };
        let bearer = self.redeem(&code, &verifier).await?;
        let me = self.me(&bearer).await?;
        let name = me["displayName"].as_str().unwrap_or_default().to_owned();
        Ok(Line::SignedIn { name })
    }

    async fn ask_for_the_page(&mut self, verifier: &str, state: &str) -> Result<Form, Failure> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        let query = encoded(&[
            ("client_id", &self.question.client),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT_URI),
            ("scope", SCOPE),
            ("state", state),
            ("login_hint", &self.question.user),
            ("code_challenge", &URL_SAFE_NO_PAD.encode(digest)),
            ("code_challenge_method", "S256"),
        ]);
        let tenant = &self.question.tenant;
        let uri = format!("/{tenant}/oauth2/v2.0/authorize?{query}");
        let answer = self.send("login", Request::builder().uri(uri), None).await?;
        let page = text(&expect(answer, StatusCode::OK, "the sign-in page")?);
        let form = Form::first(&page)
            .ok_or_else(|| Failure::new("the sign-in page has no form that can be posted"))?;
        self.done(flow::WORKSTATION_TENANT_CRL, "the tenant's certificate is not revoked")?;
        self.done(flow::WORKSTATION_TENANT_HTTPS, "the sign-in page is here")?;
        Ok(form)
    }

    /// The code, or what the page says instead.
    async fn post(&mut self, form: &Form, state: &str) -> Result<Result<String, String>, Failure> {
        let mut fields: Vec<(&str, &str)> =
            form.hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        fields.push(("loginfmt", &self.question.user));
        fields.push(("passwd", &self.question.password));
        let body = encoded(&fields);
        let request = Request::builder().method(Method::POST).uri(&form.action);
        let answer = self.send("login", request, Some(body)).await?;
        let Some(location) = answer.headers().get(LOCATION).and_then(|it| it.to_str().ok()) else {
            self.done(flow::WORKSTATION_TENANT_HTTPS, "the password was typed, and refused")?;
            let page = text(answer.body());
            return Ok(Err(super::form::complaint(&page)
                .unwrap_or_else(|| format!("{} without a complaint", answer.status()))));
        };
        let query = location.split_once('?').map_or("", |(_, query)| query);
        let parameter = |name: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        if !location.starts_with(REDIRECT_URI) || parameter("state").as_deref() != Some(state) {
            return Err(Failure::new(format!("the answer is not for this request: {location}")));
        }
        let code = parameter("code")
            .ok_or_else(|| Failure::new(format!("the answer carries no code: {location}")))?;
        self.done(
            flow::WORKSTATION_TENANT_HTTPS,
            "the password was typed, an authorization code came",
        )?;
        Ok(Ok(code))
    }

    /// An access token for the code.
    async fn redeem(&mut self, code: &str, verifier: &str) -> Result<HeaderValue, Failure> {
        let body = encoded(&[
            ("client_id", &self.question.client),
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", verifier),
        ]);
        let uri = format!("/{}/oauth2/v2.0/token", self.question.tenant);
        let request = Request::builder().method(Method::POST).uri(uri);
        let answer = self.send("login", request, Some(body)).await?;
        let tokens = object(&expect(answer, StatusCode::OK, "the token endpoint")?)?;
        let (Some(_), Some(access)) =
            (tokens["id_token"].as_str(), tokens["access_token"].as_str())
        else {
            return Err(Failure::new("the token endpoint gave no tokens"));
        };
        let mut bearer = HeaderValue::try_from(format!("Bearer {access}"))
            .map_err(|error| Failure::because("the access token is not right", &error))?;
        bearer.set_sensitive(true);
        let what = "the code and its verifier were turned into tokens";
        self.done(flow::WORKSTATION_TENANT_HTTPS, what)?;
        Ok(bearer)
    }

    async fn me(&mut self, bearer: &HeaderValue) -> Result<Value, Failure> {
        let request = Request::builder().uri("/v1.0/me").header(AUTHORIZATION, bearer);
        let answer = self.send("graph", request, None).await?;
        let me = object(&expect(answer, StatusCode::OK, "Graph")?)?;
        self.done(flow::WORKSTATION_TENANT_HTTPS, "Graph was asked for /me with the access token")?;
        Ok(me)
    }

    async fn send(
        &mut self,
        site: &str,
        request: http::request::Builder,
        form: Option<String>,
    ) -> Result<Response<Bytes>, Failure> {
        let host: DnsName = format!("{site}.{}", self.question.domain)
            .parse()
            .map_err(|error| Failure::because("the tenant has no such host", &error))?;
        let request = match form {
            None => request.body(Bytes::new()),
            Some(form) => request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Bytes::from(form)),
        };
        let mut request =
            request.map_err(|error| Failure::because("cannot make the request", &error))?;
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, it)| format!("{name}={it}")).collect();
        // A cookie of these pages is for one host alone (`__Host-`).
        if site == "login" && !cookies.is_empty() {
            let value = HeaderValue::try_from(cookies.join("; "))
                .map_err(|error| Failure::because("a cookie is not right", &error))?;
            request.headers_mut().insert(COOKIE, value);
        }
        let answer = self.client.send(flow::WORKSTATION_TENANT_HTTPS, host, request).await?;
        self.keep_cookies(answer.headers());
        Ok(answer)
    }

    fn keep_cookies(&mut self, headers: &HeaderMap) {
        for value in headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let pair = value.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.retain(|(known, _)| known != name);
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// Tells a step.
    fn done(&self, flow: Flow, what: &str) -> Result<(), Failure> {
        let row = self.chart.row(flow)?;
        let row = row.describe(row.first_port(), Transport::Tcp);
        let at = portolan_net::clock::monotonic().duration_since(self.began).as_secs_f64();
        print(&Line::Step { at, row, what: what.to_owned() })
    }
}

fn encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn expect(answer: Response<Bytes>, status: StatusCode, who: &str) -> Result<Bytes, Failure> {
    if answer.status() == status {
        return Ok(answer.into_body());
    }
    let said = text(answer.body());
    let said = super::form::complaint(&said).unwrap_or(said);
    Err(Failure::new(format!("{who} answers {}: {said}", answer.status())))
}

fn text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).into_owned()
}

fn object(body: &Bytes) -> Result<Value, Failure> {
    let value = serde_json::from_slice::<Value>(body)
        .map_err(|error| Failure::because("the answer is no JSON", &error))?;
    Ok(if value.is_object() { value } else { json!({}) })
}
