from examples.on_call import OnCall
from examples.approval import Approval
from examples.poll import Poll
from strandline.testing import Walker, kill_everywhere

def colleague(key):
    async def reacts(walker: Walker) -> None:
        friend = await walker.has_company()
        sent = await friend.react(await walker.at_home(), await walker.question(), key)
        walker.happened.append(sent)
    return reacts

test_on_call = kill_everywhere(
    OnCall,
    inputs={OnCall.accept: colleague("✅"), OnCall.end: ("!offcall", "!yes")},
    without={OnCall.accept_late: "x"}, length=3,
)
yes = colleague("✅")
test_approval = kill_everywhere(
    Approval,
    inputs={Approval.request: "Go home", Approval.misuse: "!request", Approval.approve: yes, Approval.approve_last: (yes, yes), Approval.reject: colleague("❌")}, length=3,
)
test_poll = kill_everywhere(Poll, inputs={Poll.ask: "Go? yes, no", Poll.misuse: "what", Poll.vote: Walker.reacts and (lambda w: w.reacts("1️⃣")),
 Poll.take_back: ((lambda w: w.reacts("1️⃣")), Walker.takes_back)}, without={(Poll.idle, Poll.vote_late): "", (Poll.voting, Poll.vote_late): ""}, length=3)
