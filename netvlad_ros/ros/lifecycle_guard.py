"""Orders that a lifecycle node cannot follow are refused, not died of."""

from __future__ import annotations

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode


def refuse_impossible_transitions(node: LifecycleNode) -> None:
    """Answer a transition that the present state does not have with success = False.

    rclpy (seen in Jazzy 7.1) raises RCLError out of the service callback instead, which ends the
    process: anybody asking an unconfigured node to activate would take it down.
    """
    service = node._service_change_state
    change_state = service.callback

    def guarded(
        request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        wanted: Transition = request.transition
        possible = node._state_machine.available_transitions
        if not any(wanted.label == entry[1] or wanted.id == entry[0] for entry in possible):
            current = node._state_machine.current_state[1]
            node.get_logger().warning(
                f"transition '{wanted.label or wanted.id}' is not possible in state {current}"
            )
            response.success = False
            return response
        return change_state(request, response)

    service.callback = guarded
