"""The patterns of Go and Rust services: what each says and how it is mended, in the service's own language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forensics.findings import References, Remediation, Severity

_CONSUMPTION = References(("API4:2023",), ("CWE-770", "CWE-401"))
_EXPOSED = References(("API4:2023", "API3:2023"), ("CWE-770", "CWE-401"))
_UNRELEASED = References(("API4:2023",), ("CWE-772", "CWE-401"))


@dataclass(frozen=True)
class Pattern:
    """One pattern as allocation stacks and goroutines show it; ``kind`` is that of the finding's DynamoDB data."""

    id: str
    title: str
    kind: str
    severity: Severity
    references: References
    remedies: dict[str, Remediation]


def whole_remedy(patterns: Sequence[Pattern], runtime: str) -> Remediation:
    """How the first pattern is mended in the language of the runtime, and after it the others."""
    remedies = [each.remedies.get(runtime, next(iter(each.remedies.values()))) for each in patterns]
    summary = " ".join(dict.fromkeys(each.summary for each in remedies))
    code = "\n".join(dict.fromkeys(each.code for each in remedies if each.code))
    return Remediation(summary, code, remedies[0].language)


def all_references(patterns: Sequence[Pattern]) -> References:
    """The references of all of them, each once."""
    owasp = dict.fromkeys(name for each in patterns for name in each.references.owasp)
    cwe = dict.fromkeys(name for each in patterns for name in each.references.cwe)
    return References(tuple(owasp), tuple(cwe))


def _go(summary: str, code: str) -> Remediation:
    return Remediation(summary, code, "go")


def _rust(summary: str, code: str) -> Remediation:
    return Remediation(summary, code, "rust")


_BOUNDED_GO = """\
type bounded[V any] struct {
	lock  sync.Mutex
	order []string
	kept  map[string]V
}

// put keeps at most 1,000 entries; the oldest goes.
func (b *bounded[V]) put(key string, value V) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if _, known := b.kept[key]; !known {
		if len(b.order) == 1000 {
			delete(b.kept, b.order[0])
			b.order = b.order[1:]
		}
		b.order = append(b.order, key)
	}
	b.kept[key] = value
}
"""
_BOUNDED_RUST = """\
fn put<V>(kept: &mut VecDeque<(String, V)>, key: String, value: V) {
    kept.retain(|(known, _)| *known != key);
    if kept.len() == 1_000 {
        kept.pop_front(); // the oldest goes
    }
    kept.push_back((key, value));
}
"""

PATTERNS: dict[str, Pattern] = {
    each.id: each
    for each in (
        Pattern(
            "L01", "whole responses are retained", "response", "high", _EXPOSED,
            {
                "go": _go("Copy the fields that are needed, let the response go; bound what is kept.", """\
type summary struct{ ID, Status string }

// strings.Clone: a string of the response pins the block it was cut from.
func summarise(out *dynamodb.QueryOutput) []summary {
	kept := make([]summary, 0, len(out.Items))
	for _, item := range out.Items {
		id, _ := item["order_id"].(*types.AttributeValueMemberS)
		status, _ := item["status"].(*types.AttributeValueMemberS)
		if id != nil && status != nil {
			kept = append(kept, summary{strings.Clone(id.Value), strings.Clone(status.Value)})
		}
	}
	return kept
}
"""),
                "rust": _rust("Take the fields that are needed, drop the response; bound what is kept.", """\
fn summarise(out: QueryOutput) -> Vec<String> {
    out.items()
        .iter()
        .filter_map(|item| item.get("order_id")?.as_s().ok().cloned())
        .collect()
}
"""),
            },
        ),
        Pattern(
            "L02", "pages or items are collected without end", "page", "high", _EXPOSED,
            {
                "go": _go("Work on one page at a time and drop it.", """\
type writer func(map[string]types.AttributeValue) error

func export(ctx context.Context, pages *dynamodb.ScanPaginator, write writer) error {
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if err := write(item); err != nil {
				return err
			}
		}
	}
	return nil
}
"""),
                "rust": _rust("Work on one page at a time and drop it.", """\
async fn export(client: &Client, table: &str) -> Result<usize, aws_sdk_dynamodb::Error> {
    let mut pages = client.scan().table_name(table).limit(100).into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        count += page?.items().len(); // and the page goes
    }
    Ok(count)
}
"""),
            },
        ),
        Pattern(
            "L03", "items are kept without a bound", "items", "high", _EXPOSED,
            {
                "go": _go("Bound what is kept by number (and by age).", _BOUNDED_GO),
                "rust": _rust("Bound what is kept by number (and by age).", _BOUNDED_RUST),
            },
        ),
        Pattern(
            "L04", "a client is made for each request", "client", "high", _UNRELEASED,
            {
                "go": _go("Make one client at start and share it: it is safe in any number of goroutines.", """\
func newClient(ctx context.Context) (*dynamodb.Client, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	return dynamodb.NewFromConfig(cfg), nil
}
"""),
                "rust": _rust("Make one client at start and clone it: a clone is an Arc.", """\
fn for_each_request(client: &Client) -> Client {
    client.clone()
}
"""),
            },
        ),
        Pattern(
            "L05", "a configuration is loaded for each request", "session", "critical", _UNRELEASED,
            {
                "go": _go("Load the configuration once, at start; each load brings an HTTP client.", """\
var load = sync.OnceValues(func() (aws.Config, error) {
	return config.LoadDefaultConfig(context.Background())
})
"""),
                "rust": _rust("Load the configuration once, at start.", """\
static CONFIG: OnceLock<aws_sdk_dynamodb::Config> = OnceLock::new();
"""),
            },
        ),
        Pattern(
            "L09", "work that never ends is begun by requests", "response", "high", _UNRELEASED,
            {
                "go": _go("Give it a deadline or the request's context; wait on ctx.Done(), too.", """\
func waitFor(request context.Context, changed <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(request, 30*time.Second)
	defer cancel()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
"""),
                "rust": _rust("Give the task a deadline, and abort it with its request.", """\
async fn wait_for(changed: tokio::sync::oneshot::Receiver<()>) -> bool {
    tokio::time::timeout(Duration::from_secs(30), changed).await.is_ok()
}
"""),
            },
        ),
        Pattern(
            "L10", "connections of the client pile up", "client", "high", _UNRELEASED,
            {
                "go": _go("Share one client; where one must go, close its idle connections.", """\
func dismiss(client *http.Client) { client.CloseIdleConnections() }
"""),
                "rust": _rust("Share one client.", "fn share(client: &Client) -> Client {\n    client.clone()\n}\n"),
            },
        ),
        Pattern(
            "L11", "metadata of responses pins their transport", "response", "medium", _CONSUMPTION,
            {
                "go": _go("Keep the request id, not ResultMetadata: it leads to the *http.Response.", """\
func requestID(metadata middleware.Metadata) string {
	id, _ := awsmiddleware.GetRequestIDMetadata(metadata)
	return strings.Clone(id)
}
"""),
                "rust": _rust("Keep what the error says, not the SdkError: it holds the raw response.", """\
fn words<E: std::error::Error>(error: &E) -> String {
    error.to_string()
}
"""),
            },
        ),
        Pattern(
            "L13", "small strings pin the blocks they were cut from", "attribute-value", "medium", _EXPOSED,
            {
                "go": _go("Clone what is kept: strings.Clone, bytes.Clone.", """\
func keep(value *types.AttributeValueMemberS) string { return strings.Clone(value.Value) }
"""),
            },
        ),
        Pattern(
            "L14", "a queue grows without backpressure", "items", "high", _CONSUMPTION,
            {
                "rust": _rust("Use a bounded channel; the sender then waits, or is told that there is no room.", """\
fn queue<T>() -> (tokio::sync::mpsc::Sender<T>, tokio::sync::mpsc::Receiver<T>) {
    tokio::sync::mpsc::channel(1_000)
}
"""),
            },
        ),
        Pattern(
            "L15", "the SDK's own caches grow", "client", "medium", _CONSUMPTION,
            {
                "go": _go("Upgrade the SDK, and do not override credentials for each call.", ""),
                "rust": _rust("Upgrade the SDK, and do not override credentials for each call.", ""),
            },
        ),
        Pattern(
            "L16", "errors and retries are kept with what they failed with", "response", "medium",
            References(("API4:2023", "API8:2023"), ("CWE-770", "CWE-401")),
            {
                "go": _go("Bound attempts and time, and keep the words of an error only.", """\
func bounded(options *dynamodb.Options) {
	options.RetryMaxAttempts = 3
}

func deadline(request context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(request, 2*time.Second)
}
"""),
                "rust": _rust("Keep the words of an error, not the SdkError: it holds the raw response, and what "
                              "the service sent with it. Bound attempts and time.", """\
fn words<E: aws_sdk_dynamodb::error::ProvideErrorMetadata>(error: &E) -> String {
    error.message().unwrap_or("no answer").to_owned()
}

fn bounded() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3)
}
"""),
            },
        ),
        Pattern(
            "L17", "more is fetched than is used", "attribute-value", "medium",
            References(("API4:2023", "API3:2023"), ("CWE-770", "CWE-405")),
            {
                "go": _go("Project the attributes that are used; the large ones then never come.", """\
func manualTitle(ctx context.Context, client *dynamodb.Client, sku string) (*dynamodb.GetItemOutput, error) {
	return client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:            aws.String("Manuals"),
		Key:                  map[string]types.AttributeValue{"sku": &types.AttributeValueMemberS{Value: sku}},
		ProjectionExpression: aws.String("sku, title"),
	})
}
"""),
                "rust": _rust("Project the attributes that are used; the large ones then never come.", """\
async fn manual_title(client: &Client, sku: &str) -> Result<Option<String>, aws_sdk_dynamodb::Error> {
    let output = client
        .get_item()
        .table_name("Manuals")
        .key("sku", aws_sdk_dynamodb::types::AttributeValue::S(sku.into()))
        .projection_expression("sku, title")
        .send()
        .await?;
    Ok(output.item.and_then(|item| item.get("title")?.as_s().ok().cloned()))
}
"""),
            },
        ),
        Pattern(
            "G01", "memory grows that has nothing to do with DynamoDB", "", "medium", _CONSUMPTION,
            {
                "go": _go("Bound what is kept, or let it go when its work is done.", _BOUNDED_GO),
                "rust": _rust("Bound what is kept, or let it go when its work is done.", _BOUNDED_RUST),
            },
        ),
    )
}  # fmt: skip
