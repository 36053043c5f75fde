/**
 * What goes wrong and a user can do something about.
 *
 * @module
 */

/** One sentence: what was found, what was needed, and what to do. The page shows it as it is. */
export class OsscError extends Error {
  name = "OsscError";
}

/** A bundle that is damaged, or not one that this version runs. */
export class BundleError extends OsscError {
  name = "BundleError";
}

/** A browser or graphics adapter that cannot run the bundle, or no longer. */
export class DeviceError extends OsscError {
  name = "DeviceError";
}

/** A call that cannot be carried out: tokens that do not fit, or a sampler's odd options. */
export class CallError extends OsscError {
  name = "CallError";
}
