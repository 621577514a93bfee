"""The ways notify says no."""

from shared.errors import Conflict, NotFound, Rejected, Unauthentic


class MessageUnknown(NotFound):
    """There is no such message here."""

    code = "message-unknown"


class ContactUnknown(NotFound):
    """This customer has no contact data here, or not yet."""

    code = "contact-unknown"


class TemplateUnknown(NotFound):
    """There is no approved template of this key on this channel."""

    code = "template-unknown"


class ParamsInvalid(Rejected):
    """A template's parameters are missing, of the wrong kind, or too long."""

    code = "params-invalid"


class TemplateChanged(Conflict):
    """A template's version was given another text; a new text is a new version."""

    code = "template-changed"


class PushUnauthentic(Unauthentic):
    """This call does not carry the provider's token or signature."""

    code = "push-unauthentic"
