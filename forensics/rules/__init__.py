"""Rules: one leak pattern for each file; ``judge`` asks them all and ranks what they say."""

from forensics.rules.engine import judge
from forensics.rules.evidence import Evidence
from forensics.rules.fp1_high_water import HighWater
from forensics.rules.fp2_allocated_not_held import AllocatedNotHeld
from forensics.rules.fp3_collector_lag import CollectorLag
from forensics.rules.fp4_bounded import Bounded
from forensics.rules.l01_whole_response import WholeResponse
from forensics.rules.l02_accumulated_pages import AccumulatedPages
from forensics.rules.l03_unbounded_cache import UnboundedCache
from forensics.rules.l04_client_per_request import ClientPerRequest
from forensics.rules.l05_session_per_request import SessionPerRequest
from forensics.rules.l06_table_churn import TableChurn
from forensics.rules.l07_registered_handlers import RegisteredHandlers
from forensics.rules.l08_escaped_request import EscapedRequest
from forensics.rules.l09_unending_work import UnendingWork
from forensics.rules.l10_unclosed_transport import UnclosedTransport
from forensics.rules.l11_pinned_transport import PinnedTransport
from forensics.rules.l12_stored_exception import StoredException
from forensics.rules.l13_pinned_slab import PinnedSlab
from forensics.rules.l14_unbounded_queue import UnboundedQueue
from forensics.rules.l17_over_fetch import OverFetch
from forensics.rules.l18_secrets_retained import SecretsRetained
from forensics.rules.other_growth import OtherGrowth
from forensics.rules.rule import Guard, Rule
from forensics.rules.stacks import STACK_RULES, StackRule

__all__ = ["GUARDS", "RULES", "STACK_RULES", "Evidence", "Guard", "Rule", "StackRule", "judge"]

#: The registry; tests and README are checked against it.
RULES: tuple[Rule, ...] = (
    WholeResponse(),
    AccumulatedPages(),
    UnboundedCache(),
    ClientPerRequest(),
    SessionPerRequest(),
    TableChurn(),
    RegisteredHandlers(),
    EscapedRequest(),
    UnendingWork(),
    UnclosedTransport(),
    PinnedTransport(),
    StoredException(),
    PinnedSlab(),
    UnboundedQueue(),
    OverFetch(),
    SecretsRetained(),
    OtherGrowth(),
)
GUARDS: tuple[Guard, ...] = (CollectorLag(), Bounded(), HighWater(), AllocatedNotHeld())
