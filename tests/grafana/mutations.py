"""Rules broken by hand, one at a time: the tests of promtool must notice each of them."""

from __future__ import annotations

import re
from typing import NamedTuple


class Mutation(NamedTuple):
    """In the alerts of this name (empty: in all that is recorded) every match of `old` becomes `new`."""

    alert: str
    what: str
    old: str
    new: str
    suite: str
    """The file of tests that has to notice."""

    @property
    def title(self) -> str:
        return f"{self.alert or 'records'}: {self.what}"

    def applied(self, rules: str) -> str:
        """What is recorded, and this alert, with this fault in it. AssertionError when there is nothing to break."""
        head, *blocks = _parts(rules, r"  - name: |      - alert: ")
        kept = (
            [block for block in blocks if block.startswith("  - name") or self._is_alert(block)]
            if self.alert
            else blocks
        )
        changed = [re.sub(self.old, self.new, block) if self._is_meant(block) else block for block in kept]
        assert changed != kept, f"nothing to change: {self.title}"
        return "".join([head, *changed])

    def concerned(self, tests: str) -> str:
        """Those of a suite's tests that are about this alert; for what is recorded, all."""
        head, *groups = _parts(tests, "  - name: ")
        return "".join([head, *(group for group in groups if self.alert in group)])

    def _is_meant(self, block: str) -> bool:
        return self._is_alert(block) if self.alert else _is_recorded(block)

    def _is_alert(self, block: str) -> bool:
        return block.startswith(f"      - alert: {self.alert}\n")


def _parts(text: str, begin: str) -> list[str]:
    return re.split(rf"(?m)^(?={begin})", text)


def _is_recorded(block: str) -> bool:
    return block.startswith("  - name: midspan-records")


NEVER = "> 1e9"
FAILED, STALLED, LOST = "MidspanOperationFailed", "MidspanOperationStalled", "MidspanOperationsLost"
PAST, MISS = "MidspanOperationPastDeadline", "MidspanOperationWillMissDeadline"
FIRST_CHUNK, RETRY, RATIO = "MidspanSlowFirstChunk", "MidspanRetryStorm", "MidspanFailureRatio"
BURN, TRAFFIC, DOWN = "MidspanErrorBudgetBurn", "MidspanNoTraffic", "MidspanScrapeDown"
INTERNAL = "MidspanInternalErrors"

_NEWBORN = r"\n +or\n +\(midspan_\w+(\{[^}]*\})? unless [^\n]*"
_RISEN = r"\(increase\((.*?)\) > 0\)"
_WAIT = r"\n +for: [^\n]*"
_AN_INSTANT = r"last_over_time\((.*?)\[5m\] offset (\w+)\)", r"\1 offset \2"

MUTATIONS = (
    Mutation(FAILED, "the first failure of a series is not seen", _NEWBORN, "", "operations"),
    Mutation(FAILED, "further failures are not seen", _RISEN, rf"(increase(\1) {NEVER})", "operations"),
    Mutation(FAILED, "a rise of nothing hides the first failure", _RISEN, r"increase(\1)", "operations"),
    Mutation(FAILED, "what one failed scrape has hidden is new a window later", *_AN_INSTANT, "gaps"),
    Mutation(FAILED, "every type is critical", r'\{midspan_operation_type=~"batch\|fine_tuning"\}', "", "operations"),
    Mutation(FAILED, "the error's type is not told", ", error_type\\)", ")", "operations"),
    Mutation(FAILED, "over as soon as it is quiet", r"\n +keep_firing_for: [^\n]*", "", "operations"),
    Mutation(FAILED, "another severity", "severity: warning", "severity: info", "operations"),
    Mutation(STALLED, "the application's verdict is not asked for", r"stalled\) > 0", "stalled) >= 0", "operations"),
    Mutation(STALLED, "an application that hangs is not seen", "> 120", NEVER, "operations"),
    Mutation(STALLED, "an application that reports is judged from outside", "> 120", "> -1", "operations"),
    Mutation(STALLED, "no limit by type", r"> (max by \([^)]*\) \(midspan_\w+stall)", r"> 0 * \1", "operations"),
    Mutation(STALLED, "the limit the other way round", "> max by", "< max by", "operations"),
    Mutation(STALLED, "processes thrown together", "job, instance, ", "job, ", "operations"),
    Mutation(PAST, "nothing past its deadline is enough", "> 0", ">= 0", "operations"),
    Mutation(PAST, "one past its deadline is not enough", "> 0", "> 2", "operations"),
    Mutation(MISS, "the other way round", "> 0", "< 0", "operations"),
    Mutation(MISS, "deadlines that are over", r"deadline_(\w+) > time\(\)", r"eta_\1", "operations"),
    Mutation(MISS, "not waited for", _WAIT, "", "operations"),
    Mutation(LOST, "a process that is gone is not seen", r"> 0\) unless", f"{NEVER}) unless", "lost"),
    Mutation(LOST, "what had ended is lost as well", r"> 0\) unless", ">= 0) unless", "lost"),
    Mutation(LOST, "one failed scrape is enough", _WAIT, "", "lost"),
    Mutation(LOST, "calls to a model are counted", r'midspan_operation_type=~"batch\|fine_tuning"', "", "lost"),
    Mutation(LOST, "a process that begins anew is not seen", r"\[2m\]\)\) > 0", f"[2m])) {NEVER}", "lost"),
    Mutation(LOST, "what ended before it is lost, too", r"(started_\S+2m\]\)\)) - [^\n]* > 0", r"\1 > 0", "lost"),
    Mutation(LOST, "what is running now was lost", "offset 2m\\) > 0", "offset 2m) >= 0", "lost"),
    Mutation(LOST, "no restart is needed", "seconds > process_start", "seconds >= process_start", "lost"),
    Mutation(LOST, "what midspan has given up is not seen", r"\[5m\]\)\) > 0", f"[5m])) {NEVER}", "lost"),
    Mutation(LOST, "another severity", "severity: critical", "severity: warning", "lost"),
    Mutation("", "the median in place of the 95th percentile", "0.95", "0.5", "calls"),
    Mutation(FIRST_CHUNK, "a few answers are enough", "> 20", "> 0", "calls"),
    Mutation(FIRST_CHUNK, "another limit", "> 5\n", "> 50\n", "calls"),
    Mutation(FIRST_CHUNK, "not waited for", _WAIT, "", "calls"),
    Mutation(RETRY, "attempts that succeeded", r'\{error_type!=""\}', "", "calls"),
    Mutation(RETRY, "a few attempts are enough", "> 20", "> 0", "calls"),
    Mutation(RETRY, "another share", "> 0.5", "> 0.3", "calls"),
    Mutation(RETRY, "not waited for", _WAIT, "", "calls"),
    Mutation("", "what is lost did not fail", r"failed\|lost", "failed", "services"),
    Mutation("", "cancelled operations count", r'\{midspan_status!="cancelled"\}', "", "services"),
    Mutation(RATIO, "a few endings are enough", "> 20", "> 0", "services"),
    Mutation(RATIO, "another limit", "> 0.05", "> 0.03", "services"),
    Mutation(RATIO, "not waited for", _WAIT, "", "services"),
    Mutation(TRAFFIC, "work that goes on is no traffic", r"active\) == 0", "active) >= 0", "services"),
    Mutation(TRAFFIC, "traffic is no traffic", r"\[30m\]\)\) == 0", "[30m])) >= 0", "services"),
    Mutation(TRAFFIC, "hardly any traffic is enough", "> 10", "> 0", "services"),
    Mutation(TRAFFIC, "not waited for", _WAIT, "", "services"),
    Mutation(DOWN, "every target is midspan's", r"\n +and on \(job\)\n[^\n]*", "", "services"),
    Mutation(DOWN, "a process that was never scraped", r"on \(job\)", "on (job, instance)", "services"),
    Mutation(DOWN, "the other way round", "up == 0", "up == 1", "services"),
    Mutation(DOWN, "not waited for", _WAIT, "", "services"),
    Mutation(INTERNAL, "the first error of a part is not seen", _NEWBORN, "", "services"),
    Mutation(INTERNAL, "further errors are not seen", _RISEN, rf"(increase(\1) {NEVER})", "services"),
    Mutation(INTERNAL, "what one failed scrape has hidden is new a window later", *_AN_INSTANT, "gaps"),
    Mutation(BURN, "no short window", r"and\n +job_operation:\S+ > [^\n]*\n", "", "budget"),
    Mutation(BURN, "a few endings are enough", "> 10", "> 0", "budget"),
    Mutation(BURN, "another budget", r"\* 0.01", "* 0.02", "budget"),
    Mutation(BURN, "another severity", "severity: critical", "severity: warning", "budget"),
    Mutation(BURN, "not waited for", _WAIT, "", "budget"),
    Mutation("", "what is used up in place of what is left", "1 - job", "0 - job", "budget"),
    Mutation(BURN, "the slow speeds are as fast", r"> [31] \*", "> 6 *", "slow_budget"),
    Mutation(BURN, "a longer window in place of the short one", "ratio_rate2h", "ratio_rate6h", "slow_budget"),
)  # fmt: skip
