"""What keeps somebody from signing in to the panel, beside a wrong password."""

from app.errors import NotSignedIn, PermissionDenied, SignInRefused


class SecondFactorNeeded(NotSignedIn):
    """The password is right; the code of the second factor is missing."""

    code = "second_factor_needed"


class SecondFactorRefused(SignInRefused):
    code = "second_factor_refused"


class PasswordSignInOff(PermissionDenied):
    """Admins sign in through the provider only (FILMGATE_PASSWORD_SIGN_IN)."""

    code = "password_sign_in_off"


class OidcRefused(NotSignedIn):
    """The sign-in provider, or what it answered, lets nobody in."""

    code = "oidc_refused"


class OidcUnreachable(OidcRefused):
    code = "oidc_unreachable"


class OidcNoRole(OidcRefused):
    """The provider knows the person, and none of the groups has a role here."""

    code = "oidc_no_role"


class OidcOutdated(OidcRefused):
    """The sign-in was begun elsewhere or too long ago, or comes a second time."""

    code = "oidc_outdated"


class SecondFactorMissing(PermissionDenied):
    """Everybody must have a second factor, and this admin has none yet."""

    code = "second_factor_missing"
