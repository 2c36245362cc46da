// Made by `npm run gen` from the OpenAPI document; do not edit.
export interface paths {
    "/schedule": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Accept a job
         * @description The job is on disk before the reply. `Idempotency-Key` (quoted or bare) replays the first answer to the same body. With `dryRun` nothing is stored: the placement is explained. A busy node is no error: the job is `queued` and says why. An `llm` task needs the scope `llm:invoke` too, also in a dry run.
         */
        post: operations["scheduleJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List jobs, newest first
         * @description A page ends at about 4 MiB: it may be shorter than its limit. The cursor leads on.
         */
        get: operations["listJobs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/jobs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One job, with why it waits */
        get: operations["getJob"];
        put?: never;
        post?: never;
        /**
         * Cancel a job, or remove a finished one
         * @description A job that waits is cancelled at once; one that runs is ended (TERM, the grace period, KILL) and is `cancelled` when its end is known: follow its stream. With `purge` a finished job goes, with its log.
         */
        delete: operations["cancelJob"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/jobs/{id}/rerun": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Run the same spec once more, without its dependencies, as a job of its own
         * @description The new job belongs to the tenant and the token of the first one, whoever asks: their policies, quotas, secrets, account and webhook. Who asks stands in the audit (`actor`), and in the own tenant must be allowed by policy to submit it. An `llm` task needs the scope `llm:invoke` too.
         */
        post: operations["rerunJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/stream/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A job's log as a WebSocket of frames
         * @description Replays from `from` (or the last `tail` log frames) and follows. After the last frame the server closes with 1000. Subprotocol roost.stream.v1; each message is one Frame. See /asyncapi.json.
         */
        get: operations["streamJob"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/jobs/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A job's log as server-sent events
         * @description The same frames; the id of each event is its seq. `Last-Event-ID` goes on behind it; 204 where that was the last frame.
         */
        get: operations["followJob"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/jobs/{id}/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What a job printed, as plain text */
        get: operations["readJobLogs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/pods": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Workloads of every runtime */
        get: operations["listPods"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/evict": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End an attempt and put its job back into the queue */
        post: operations["evict"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/nodes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Nodes in sight */
        get: operations["listNodes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/nodes/{id}/drain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Take no more jobs; what runs may end */
        post: operations["drainNode"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/nodes/{id}/undrain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Take jobs again; also after a restored backup */
        post: operations["undrainNode"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/queue": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Waiting jobs, in the order in which they are tried
         * @description Fair share between tenants, effective priority within them. Those that cannot be tried yet stand last. The first 10,000 are listed; `GET /v1/jobs?state=queued` has all. The queue moves while it is read: a job may be missed or met twice from one page to the next.
         */
        get: operations["listQueue"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How the node is; details with read:jobs */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/livez": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The process answers */
        get: operations["getLive"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The node takes jobs */
        get: operations["getReady"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Tokens, newest first, without their text */
        get: operations["listTokens"];
        put?: never;
        /** Make a token */
        post: operations["createToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tokens/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke a token
         * @description From the reply on it opens nothing here, and the streams that it opened are closed.
         */
        delete: operations["revokeToken"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tokens/local/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Replace the local token
         * @description The old one is good no more, and its streams are closed. 404 `not-configured` where the admin token comes from the environment: change it there.
         */
        post: operations["rotateLocalToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/secrets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Names of secrets, never their values */
        get: operations["listSecrets"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/secrets/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Set a secret */
        put: operations["setSecret"];
        post?: never;
        /** Remove a secret */
        delete: operations["removeSecret"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/backup": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Copy the database into a file of this machine while everything goes on
         * @description With Postgres `not-configured`: its own `pg_dump` takes backups.
         */
        post: operations["backup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Who changed what, newest first; each entry is chained to the one before by its hash
         * @description Filters that are given must all fit one change. Of an entry that holds several only those that fit are shown; its hash is that of the whole entry.
         */
        get: operations["listAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/audit/verify": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Walk the whole chain to the first entry that was altered, removed, moved, put in or hidden from filters
         * @description That the newest entries were cut off shows only against an anchor that was kept elsewhere: give it as `expect`.
         */
        get: operations["verifyAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/policies": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The policies in force, and what is wrong with the file as it is now */
        get: operations["getPolicies"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/policies/explain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * What the policies say of a job, without running it
         * @description Every check of every policy that applies, with the value and the bound.
         */
        post: operations["explainPolicies"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/jobs/{id}/webhooks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The callbacks of a job: whether they were delivered, and if not, why and when next */
        get: operations["listJobWebhooks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks/secret": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The key with which a receiver verifies callbacks that name no secret of their own
         * @description Made at its first use. That it was read is in the audit.
         */
        get: operations["readWebhookSecret"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document */
        get: operations["getOpenapi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/asyncapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The stream as an AsyncAPI 3 document */
        get: operations["getAsyncapi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Prometheus metrics */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/docs/errors": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Every error code */
        get: operations["getErrors"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface webhooks {
    "job-ended": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sent by Roost to the `webhook` of a job when it has ended, as Standard Webhooks have it
         * @description At least once, with the same webhook-id at every try. Verify it with a library of standardwebhooks.com and the key of GET /v1/webhooks/secret, or the secret that the job names.
         */
        post: operations["jobEnded"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface components {
    schemas: {
        /** @enum {string} */
        JobState: "queued" | "scheduled" | "running" | "succeeded" | "failed" | "cancelled";
        /** @enum {string} */
        AttemptState: "reserved" | "starting" | "running" | "unknown" | "succeeded" | "failed" | "evicted" | "cancelled" | "lost";
        /** @enum {string} */
        Scope: "read:jobs" | "write:jobs" | "llm:invoke" | "context:read" | "context:write" | "admin";
        /** @description Requests, for placement. Hard limits come from `limits`. */
        Resources: {
            /**
             * @description Cores: 0.5, "0.5" or "500m".
             * @default 0.1
             */
            cpu?: number | string;
            /**
             * @description Bytes, or a number with Ki, Mi, Gi, Ti, k, M, G or T.
             * @default 64Mi
             */
            memory?: number | string;
            /**
             * @description Whole GPUs; two jobs never share one unasked.
             * @default 0
             */
            gpu?: number;
        };
        /** @description Hard limits, by cgroup v2 or v1 where the node may set them. */
        Limits: {
            /** @description Cores: 0.5, "0.5" or "500m". */
            cpu?: number | string;
            /** @description Bytes, or a number with Ki, Mi, Gi, Ti, k, M, G or T. */
            memory?: number | string;
            /** @description Whole GPUs; two jobs never share one unasked. */
            gpu?: number;
        };
        ProcessTask: {
            /** @enum {string} */
            type: "process";
            /** @description The program and its arguments; no shell is added. */
            command: string[];
            cwd?: string | null;
            stdin?: string | null;
        };
        ContainerTask: {
            /** @enum {string} */
            type: "container";
            image: string;
            command?: string[];
            args?: string[];
        };
        LlmTask: {
            /** @enum {string} */
            type: "llm";
            model: string;
            messages: {
                /** @enum {string} */
                role: "system" | "user" | "assistant" | "tool";
                content: string;
            }[];
            options?: {
                [key: string]: unknown;
            };
        };
        ExtensionTask: {
            /** @description plugin/kind, checked by the runtime that takes it. */
            type: string;
        } & {
            [key: string]: unknown;
        };
        Task: components["schemas"]["ProcessTask"] | components["schemas"]["ContainerTask"] | components["schemas"]["LlmTask"] | components["schemas"]["ExtensionTask"];
        /** @description A condition on a label of the node. */
        Constraint: {
            key: string;
            /** @enum {string} */
            operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
            values?: string[];
        };
        Retry: {
            /** @default 1 */
            maxAttempts?: number;
            /** @default 1 */
            backoffSeconds?: number;
            /** @default 60 */
            maxBackoffSeconds?: number;
            /**
             * @default [
             *       "failure",
             *       "node-lost",
             *       "timeout"
             *     ]
             */
            on?: ("failure" | "node-lost" | "timeout")[];
        };
        /** @description Time-ordered, lower-case, safe in a DNS label. */
        JobId: string;
        JobSpec: {
            /** @description A DNS label. */
            name?: string;
            task: components["schemas"]["Task"];
            env?: {
                [key: string]: string;
            };
            /** @description Environment name -> name of a secret. Values are never stored with the job. */
            secrets?: {
                [key: string]: string;
            };
            resources?: components["schemas"]["Resources"];
            limits?: components["schemas"]["Limits"];
            labels?: {
                [key: string]: string;
            };
            constraints?: components["schemas"]["Constraint"][];
            placement?: {
                /**
                 * @default prefer-local
                 * @enum {string}
                 */
                locality?: "prefer-local" | "local-only" | "any";
                node?: string | null;
            };
            /**
             * @description Larger first.
             * @default 50
             */
            priority?: number;
            /** @description Of one attempt. Default: 3600, or what a policy says. */
            timeoutSeconds?: number;
            retry?: components["schemas"]["Retry"];
            /**
             * @description Default: wait; restart where retry.maxAttempts is above 1.
             * @enum {string}
             */
            onNodeLoss?: "wait" | "restart" | "fail";
            dependsOn?: string[];
            workspace?: string;
            outputs?: string[];
            /** @description A callback at the end of the job (Standard Webhooks). */
            webhook?: {
                /** @description Where a signed POST goes when the job has ended; policy must allow the host. */
                url: string;
                /** @description Name of the secret that signs it. Default: the tenant's own. */
                secret?: string;
            };
            /** @default false */
            preemptible?: boolean;
            /** @default 604800 */
            ttlSecondsAfterFinished?: number;
        };
        Attempt: {
            /** @description Counts up; the fencing token. */
            number: number;
            state: components["schemas"]["AttemptState"];
            node: string;
            runtime: string;
            pod: string | null;
            exitCode: number | null;
            signal: string | null;
            reason: string | null;
            startedAt: string | null;
            finishedAt: string | null;
        };
        JobResult: {
            exitCode: number | null;
            output: unknown;
        };
        Job: {
            id: components["schemas"]["JobId"];
            name: string | null;
            state: components["schemas"]["JobState"];
            reason: string | null;
            message: string | null;
            spec: components["schemas"]["JobSpec"];
            node: string | null;
            attempts: components["schemas"]["Attempt"][];
            placement: components["schemas"]["Placement"] | null;
            result: components["schemas"]["JobResult"] | null;
            /** Format: date-time */
            createdAt: string;
            startedAt: string | null;
            finishedAt: string | null;
            lastSeq: number;
            tenant: string;
        };
        QueueNeed: {
            /**
             * @description Cores, bytes, GPUs and attempts of the node; what a quota allows; jobs that must end first; seconds; a change of the node.
             * @enum {string}
             */
            what: "cpu" | "memory" | "gpu" | "slots" | "quota" | "jobs" | "time" | "node";
            needed: number;
            /** @description What there is of it now. */
            available: number;
            /** @description The same in words, with the units. */
            message: string;
        };
        /** @description Why a job waits. */
        Wait: {
            position: number | null;
            /** @description dependencies, a backoff’s cause, paused, draining, quota, preempting, reserved, queue, or what it lacks: insufficient-cpu, insufficient-memory, insufficient-gpu, no-slot, … */
            reason: string;
            message: string;
            /** @description What would let it start; empty where that is not known. */
            needs: components["schemas"]["QueueNeed"][];
            startsBy: string | null;
        };
        /** @description A waiting job. */
        QueueItem: {
            /** @description How many jobs have their turn before it. */
            position: number;
            jobId: string;
            name: string | null;
            tenant: string;
            /** @description As submitted. */
            priority: number;
            /** @description The priority and what waiting has added to it; decides within the tenant. */
            effectivePriority: number;
            /** @description What its tenant holds now: the largest part of any resource of the node, divided by its weight. The tenant with the least goes first. */
            share: number;
            /** Format: date-time */
            createdAt: string;
            reason: string | null;
            message: string | null;
            /** @description What would let it start. */
            needs: components["schemas"]["QueueNeed"][];
            startsBy: string | null;
            /** @description Jobs that must succeed first. */
            waitingFor: string[];
            notBefore: string | null;
        };
        Placement: {
            choice: string | null;
            /** @description Nodes that can take the job now, best first. */
            candidates: {
                node: string;
                name: string;
                runtime: string;
                score: number;
                scores: {
                    [key: string]: number;
                };
            }[];
            /** @description Nodes left out, each with every reason. */
            filtered: {
                node: string;
                name: string;
                reasons: {
                    /** @description insufficient-cpu, insufficient-memory, insufficient-gpu, no-slot, constraint, no-runtime, node, draining, locality, … */
                    code: string;
                    message: string;
                    /** @description True where waiting will not help: this node can never take the job as it is. */
                    permanent: boolean;
                }[];
            }[];
            /** @description Of a dry run: why the job would wait, with the reason `preempting` where others would be ended for it now; null where it would start at once, or be refused. */
            queue?: components["schemas"]["Wait"] | null;
            /** @description Of a dry run: why the job would not be accepted now; null where it would be. */
            refusal?: {
                /** @description unplaceable, quota-exceeded or draining. */
                code: string;
                message: string;
            } | null;
        };
        StatusFrame: {
            /** @enum {string} */
            type: "status";
            /** @description 1, 2, 3, … without holes within a job. */
            seq: number;
            /** Format: date-time */
            time: string;
            state: components["schemas"]["JobState"];
            attempt: number | null;
            node: string | null;
            reason: string | null;
            message?: string;
        };
        LogFrame: {
            /** @enum {string} */
            type: "log";
            /** @description 1, 2, 3, … without holes within a job. */
            seq: number;
            /** Format: date-time */
            time: string;
            attempt: number;
            /** @enum {string} */
            stream: "stdout" | "stderr";
            /** @description At most 64 KiB; base64 where `encoding` says so. */
            text: string;
            /** @enum {string} */
            encoding?: "base64";
            /** @description Bytes that were dropped here because of the log cap. */
            truncated?: number;
        };
        /** @description The last frame of a job that succeeded. */
        ResultFrame: {
            /** @enum {string} */
            type: "result";
            /** @description 1, 2, 3, … without holes within a job. */
            seq: number;
            /** Format: date-time */
            time: string;
            /** @enum {string} */
            state: "succeeded";
            exitCode: number | null;
            output: unknown;
        };
        /** @description The last frame of a job that failed or was cancelled. */
        ErrorFrame: {
            /** @enum {string} */
            type: "error";
            /** @description 1, 2, 3, … without holes within a job. */
            seq: number;
            /** Format: date-time */
            time: string;
            /** @enum {string} */
            state: "failed" | "cancelled";
            code: string;
            message: string;
            exitCode: number | null;
        };
        /** @description After 15 s of silence; not in the log. */
        HeartbeatFrame: {
            /** @enum {string} */
            type: "heartbeat";
            /** Format: date-time */
            time: string;
            lastSeq: number;
        };
        Frame: components["schemas"]["StatusFrame"] | components["schemas"]["LogFrame"] | components["schemas"]["ResultFrame"] | components["schemas"]["ErrorFrame"] | components["schemas"]["HeartbeatFrame"];
        /** @description RFC 9457 problem details. */
        Problem: {
            /** @description A URI reference: /docs/errors#<code>. */
            type: string;
            title: string;
            status: number;
            code: string;
            /** @description What happened, to what, and what to do. */
            detail?: string;
            instance?: string;
            requestId?: string;
            errors?: {
                /** @description JSON pointer to the field at fault, within the part named by `in`. */
                pointer: string;
                /** @enum {string} */
                in: "body" | "query" | "path" | "header";
                message: string;
            }[];
        } & {
            [key: string]: unknown;
        };
        Gpu: {
            index: number;
            id: string;
            name: string;
            memoryBytes: number;
            jobId: string | null;
        };
        Capacity: {
            cpu: {
                /** @description What the node has (cores); limits of its cgroup respected. */
                total: number;
                /** @description Total minus the reserve. */
                allocatable: number;
                /** @description Promised to attempts that have not ended. */
                requested: number;
                /** @description Measured now. */
                used: number;
            };
            memory: {
                /** @description What the node has (bytes); limits of its cgroup respected. */
                total: number;
                /** @description Total minus the reserve. */
                allocatable: number;
                /** @description Promised to attempts that have not ended. */
                requested: number;
                /** @description Measured now. */
                used: number;
            };
            gpu: components["schemas"]["Gpu"][];
            /** @description Attempts at one time. */
            slots: {
                total: number;
                allocatable: number;
                requested: number;
                used: number;
            };
        };
        Node: {
            id: string;
            name: string;
            version: string;
            os: string;
            arch: string;
            /** @enum {string} */
            state: "ready" | "draining" | "drained" | "unknown" | "left";
            labels: {
                [key: string]: string;
            };
            runtimes: string[];
            taskTypes: string[];
            capacity: components["schemas"]["Capacity"] | null;
            /** @description True for the node that answers. */
            local: boolean;
            /** Format: date-time */
            seenAt: string;
        };
        Health: {
            /** @enum {string} */
            status: "ok" | "degraded" | "draining" | "paused";
            node: {
                id: string;
                name: string;
                version: string;
                os: string;
                arch: string;
                labels: {
                    [key: string]: string;
                };
                runtimes: string[];
            };
            /** @description Why the status is not ok, and what to do. */
            reasons?: string[];
            capacity?: components["schemas"]["Capacity"];
            /** @description How hard limits are set here: cgroup-v2, cgroup-v1, or none with the reason. */
            limits?: string;
            queue?: {
                depth: number;
                oldestSeconds: number;
            };
            peers?: {
                alive: number;
                suspect: number;
                dead: number;
            };
            providers?: {
                name: string;
                state: string;
            }[];
            storage?: {
                dialect: string;
                writable: boolean;
                schemaVersion: number;
                bytes: number | null;
                message: string | null;
            };
        };
        /** @description A workload of any runtime. */
        Pod: {
            name: string;
            namespace: string | null;
            node: string;
            runtime: string;
            phase: string;
            jobId: string | null;
            attempt: number | null;
            startedAt: string | null;
            restarts: number;
            resources: {
                cpu: number;
                memory: number;
                gpu: number;
            };
        };
        Token: {
            id: string;
            name: string;
            tenant: string;
            scopes: components["schemas"]["Scope"][];
            /** Format: date-time */
            createdAt: string;
            expiresAt: string | null;
            revokedAt: string | null;
            lastUsedAt: string | null;
        };
        TokenRequest: {
            name: string;
            scopes: components["schemas"]["Scope"][];
            /** @default default */
            tenant?: string;
            expiresInSeconds?: number | null;
        };
        NewToken: {
            /** @description Shown once; only its hash is kept. */
            token: string;
            record: components["schemas"]["Token"];
        };
        LocalToken: {
            /** @description The new admin token; the old one is good no more. */
            token: string;
            /** @description Where it stands on the machine of the service. */
            tokenFile: string;
        };
        /** @description SEQ:HASH of an entry: what one keeps elsewhere to find out later that the newest were cut off. */
        AuditAnchor: string;
        AuditEntry: {
            seq: number;
            /** Format: date-time */
            time: string;
            /** @description The id of the token, `local` for the local one, `system` for Roost itself; `*` here and below where the records of an entry differ. */
            actor: string;
            actorName: string | null;
            tenant: string;
            /** @description What was done, such as `job.cancel`. */
            action: string;
            /** @description To what: the id or name of the job, token, secret, node. */
            subject: string;
            requestId: string | null;
            address: string | null;
            client: string | null;
            /** @description `before` and `after` of what changed, and the `traceId` of the request that came with one. `records` where one commit held several changes: what a record lacks is as in the entry. */
            detail: {
                [key: string]: unknown;
            };
            previousHash: string;
            /** @description SHA-256 over the hash of the entry before and this entry. */
            hash: string;
        };
        AuditVerdict: {
            /** @description Every entry fits, and the anchor, if one was given, was found. */
            ok: boolean;
            /** @description How many entries fit, from the first one on. */
            entries: number;
            head: components["schemas"]["AuditAnchor"] | null;
            fault: {
                seq: number;
                message: string;
            } | null;
            anchor: ("found" | "different" | "missing") | null;
        };
        WebhookDelivery: {
            /** @description The webhook-id of its requests: the same at every try. */
            id: string;
            /** @enum {string} */
            type: "job.succeeded" | "job.failed" | "job.cancelled";
            url: string;
            /**
             * @description `failed`: given up, after the last try or because the receiver answered 410.
             * @enum {string}
             */
            state: "pending" | "delivered" | "failed";
            /** @description How many tries were made. */
            attempts: number;
            nextAttemptAt: string | null;
            lastAttemptAt: string | null;
            lastStatus: number | null;
            lastError: string | null;
            /**
             * Format: date-time
             * @description When the job ended.
             */
            createdAt: string;
            endedAt: string | null;
        };
        /** @description Neither the command nor the environment of the job. */
        WebhookEvent: {
            /** @enum {string} */
            type: "job.succeeded" | "job.failed" | "job.cancelled";
            /**
             * Format: date-time
             * @description When the job ended.
             */
            timestamp: string;
            data: {
                id: string;
                name: string | null;
                /** @enum {string} */
                state: "succeeded" | "failed" | "cancelled";
                reason: string | null;
                message: string | null;
                exitCode: number | null;
                node: string | null;
                /** @description How many there were. */
                attempts: number;
                labels: {
                    [key: string]: string;
                };
                tenant: string;
                /**
                 * Format: date-time
                 * @description When it was submitted.
                 */
                createdAt: string;
                startedAt: string | null;
                finishedAt: string | null;
            };
        };
        WebhookSecret: {
            tenant: string;
            /** @description whsec_ and base64: what a Standard Webhooks library takes. */
            secret: string;
        };
        Policy: {
            /** @description Refusals name it: letters, digits, spaces, dots, dashes. */
            name: string;
            /** @description Tenants that it applies to, as globs; "*" is all of them. */
            tenants: string[];
            /** @description Only for jobs of these tokens: ids or names, as globs. Without it: of all. */
            tokens?: string[];
            /** @description Share of the machine relative to other tenants that wait; 1 without it. */
            weight?: number;
            /** @description The account of this machine that process jobs run as (the service must be root). Two tenants never share one: name a single tenant, or put {tenant} into the name. */
            user?: string;
            /** @description Bounds on what each tenant has at one time. */
            quota?: {
                /** @description Attempts of each tenant that are not over. A job over it waits. */
                running?: number;
                /** @description Jobs of each tenant that wait, the new one included. A job over it is refused. */
                queued?: number;
                /** @description Cores requested by attempts of each tenant that are not over. Cores: 0.5, "0.5" or "500m". */
                cpu?: number | string;
                /** @description Memory requested by attempts of each tenant that are not over. Bytes, or a number with Ki, Mi, Gi, Ti, k, M, G or T. */
                memory?: number | string;
                /** @description GPUs held by attempts of each tenant that are not over. */
                gpu?: number;
                /** @description Jobs of each tenant accepted in any 60 seconds. */
                submissionsPerMinute?: number;
                /** @description Output kept in the logs of each tenant's jobs. What is over is dropped and told. Bytes, or a number with Ki, Mi, Gi, Ti, k, M, G or T. */
                logBytes?: number | string;
            };
            /** @description Bounds on what each token has at one time. */
            tokenQuota?: {
                /** @description Attempts of each token that are not over. A job over it waits. */
                running?: number;
                /** @description Jobs of each token that wait, the new one included. A job over it is refused. */
                queued?: number;
                /** @description Cores requested by attempts of each token that are not over. Cores: 0.5, "0.5" or "500m". */
                cpu?: number | string;
                /** @description Memory requested by attempts of each token that are not over. Bytes, or a number with Ki, Mi, Gi, Ti, k, M, G or T. */
                memory?: number | string;
                /** @description GPUs held by attempts of each token that are not over. */
                gpu?: number;
                /** @description Jobs of each token accepted in any 60 seconds. */
                submissionsPerMinute?: number;
                /** @description Output kept in the logs of each token's jobs. What is over is dropped and told. Bytes, or a number with Ki, Mi, Gi, Ti, k, M, G or T. */
                logBytes?: number | string;
            };
            /** @description What is not in a list that is here is refused. */
            allow?: {
                /** @description Types of tasks, such as container or worker/*. */
                taskTypes?: string[];
                /** @description Images of container tasks; ** goes over slashes. */
                images?: string[];
                /** @description Names in env and secrets. */
                env?: string[];
                /** @description Labels that a node must have, each with the values that will do; added to the job’s constraints. */
                nodes?: {
                    [key: string]: string[];
                };
            };
            /** @description The most that one job may ask, by resources and by limits. */
            job?: {
                /** @description Cores. Cores: 0.5, "0.5" or "500m". */
                cpu?: number | string;
                /** @description Memory. Bytes, or a number with Ki, Mi, Gi, Ti, k, M, G or T. */
                memory?: number | string;
                /** @description GPUs. */
                gpu?: number;
                /** @description The longest time of an attempt. */
                timeoutSeconds?: number;
                /** @description Output kept of an attempt, each of stdout and stderr. Bytes, or a number with Ki, Mi, Gi, Ti, k, M, G or T. */
                logBytes?: number | string;
            };
            /** @description What a job gets that does not say; the smallest wins. */
            defaults?: {
                timeoutSeconds?: number;
                /** @description Hard limits by cgroup, where the job names none. */
                limits?: {
                    /** @description Cores. Cores: 0.5, "0.5" or "500m". */
                    cpu?: number | string;
                    /** @description Memory. Bytes, or a number with Ki, Mi, Gi, Ti, k, M, G or T. */
                    memory?: number | string;
                };
            };
            eviction?: {
                /** @description An attempt runs this long before it may be evicted. */
                minRunSeconds?: number;
                /** @description Jobs with such a label, as key=value globs, are never evicted. */
                protectedLabels?: string[];
            };
            preemption?: {
                /** @description How often a preemptible job may be put back; 0: never. */
                maxPerJob?: number;
                graceSeconds?: number;
            };
            /** @description Without it nothing may be called. */
            webhooks?: {
                /** @description Names of hosts that may be called, without scheme and port. */
                hosts?: string[];
                /** @description Private addresses that such a host may have. */
                addresses?: string[];
                /**
                 * @description Whether plain http may be used, too.
                 * @default false
                 */
                http?: boolean;
            };
        };
        PolicyStatus: {
            file: string | null;
            hash: string | null;
            loadedAt: string | null;
            error: {
                /** Format: date-time */
                at: string;
                problems: string[];
            } | null;
            policies: components["schemas"]["Policy"][];
        };
        PolicyCheck: {
            policy: string | null;
            /** @description The key of the policy, such as allow.images or quota.queued. */
            rule: string;
            /** @enum {string} */
            verdict: "allowed" | "refused" | "waits";
            /** @description What the job asks, or what there would be with it. */
            value: string | number | null;
            /** @description The bound. */
            limit: string | number | string[];
            message: string;
        };
        /** @description What the policies say of a job; `spec` is the job as it would be stored. */
        PolicyExplanation: {
            tenant: string;
            /** @description The id of the token. */
            token: string;
            /** @description Whether the job would be accepted now. */
            allowed: boolean;
            /** @description Names of the policies that apply. */
            policies: string[];
            checks: components["schemas"]["PolicyCheck"][];
            spec: components["schemas"]["JobSpec"];
        };
    };
    responses: {
        /** @description `malformed`: The body is not JSON. `bad-request`: The request could not be understood. */
        "malformed.bad-request": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 400;
                    /** @enum {string} */
                    code?: "malformed" | "bad-request";
                };
            };
        };
        /** @description `unauthorized`: A token is needed. */
        unauthorized: {
            headers: {
                /** @description How to show a token. */
                "WWW-Authenticate"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 401;
                    /** @enum {string} */
                    code?: "unauthorized";
                };
            };
        };
        /** @description `forbidden`: The token does not allow this. `policy-denied`: A policy forbids this. */
        "forbidden.policy-denied": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 403;
                    /** @enum {string} */
                    code?: "forbidden" | "policy-denied";
                };
            };
        };
        /** @description `timeout`: The request took too long to arrive. */
        timeout: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 408;
                    /** @enum {string} */
                    code?: "timeout";
                };
            };
        };
        /** @description `name-in-use`: An unfinished job has that name. `idempotency-in-flight`: A request with this Idempotency-Key is still at work. */
        "name-in-use.idempotency-in-flight": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 409;
                    /** @enum {string} */
                    code?: "name-in-use" | "idempotency-in-flight";
                };
            };
        };
        /** @description `too-large`: The body is too large. */
        "too-large": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 413;
                    /** @enum {string} */
                    code?: "too-large";
                };
            };
        };
        /** @description `unsupported-media-type`: That content type is not taken here. */
        "unsupported-media-type": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 415;
                    /** @enum {string} */
                    code?: "unsupported-media-type";
                };
            };
        };
        /** @description `misdirected-request`: The Host or Origin is not one of this service. */
        "misdirected-request": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 421;
                    /** @enum {string} */
                    code?: "misdirected-request";
                };
            };
        };
        /** @description `invalid`: The request is not valid. `unplaceable`: No node in sight could ever run this job. `idempotency-mismatch`: That Idempotency-Key was used for another body. */
        "invalid.unplaceable.idempotency-mismatch": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 422;
                    /** @enum {string} */
                    code?: "invalid" | "unplaceable" | "idempotency-mismatch";
                };
            };
        };
        /** @description `expectation-failed`: That expectation cannot be met. */
        "expectation-failed": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 417;
                    /** @enum {string} */
                    code?: "expectation-failed";
                };
            };
        };
        /** @description `rate-limited`: Too many requests. `quota-exceeded`: A quota is used up. */
        "rate-limited.quota-exceeded": {
            headers: {
                /** @description Seconds to wait. */
                "Retry-After"?: number;
                /** @description Of `rate-limited`: how many (q) in how many seconds (w). */
                "RateLimit-Policy"?: string;
                /** @description Of `rate-limited`: how many are left (r) for how many seconds (t). */
                RateLimit?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 429;
                    /** @enum {string} */
                    code?: "rate-limited" | "quota-exceeded";
                };
            };
        };
        /** @description `headers-too-large`: The headers are too large. */
        "headers-too-large": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 431;
                    /** @enum {string} */
                    code?: "headers-too-large";
                };
            };
        };
        /** @description `internal`: Roost has a fault. */
        internal: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 500;
                    /** @enum {string} */
                    code?: "internal";
                };
            };
        };
        /** @description `draining`: The node is draining. `issuer-unavailable`: The token's issuer cannot be reached. `overloaded`: The node is overloaded. `storage-unavailable`: The storage takes no writes now. */
        "draining.issuer-unavailable.overloaded.storage-unavailable": {
            headers: {
                /** @description Seconds to wait. */
                "Retry-After"?: number;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 503;
                    /** @enum {string} */
                    code?: "draining" | "issuer-unavailable" | "overloaded" | "storage-unavailable";
                };
            };
        };
        /** @description `bad-request`: The request could not be understood. */
        "bad-request": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 400;
                    /** @enum {string} */
                    code?: "bad-request";
                };
            };
        };
        /** @description `forbidden`: The token does not allow this. */
        forbidden: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 403;
                    /** @enum {string} */
                    code?: "forbidden";
                };
            };
        };
        /** @description `invalid`: The request is not valid. */
        invalid: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 422;
                    /** @enum {string} */
                    code?: "invalid";
                };
            };
        };
        /** @description `rate-limited`: Too many requests. */
        "rate-limited": {
            headers: {
                /** @description Seconds to wait. */
                "Retry-After"?: number;
                /** @description Of `rate-limited`: how many (q) in how many seconds (w). */
                "RateLimit-Policy"?: string;
                /** @description Of `rate-limited`: how many are left (r) for how many seconds (t). */
                RateLimit?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 429;
                    /** @enum {string} */
                    code?: "rate-limited";
                };
            };
        };
        /** @description `not-found`: There is nothing here. `job-not-found`: No such job. */
        "not-found.job-not-found": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 404;
                    /** @enum {string} */
                    code?: "not-found" | "job-not-found";
                };
            };
        };
        /** @description `already-finished`: The job has finished. `not-finished`: The job has not finished. */
        "already-finished.not-finished": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 409;
                    /** @enum {string} */
                    code?: "already-finished" | "not-finished";
                };
            };
        };
        /** @description `invalid`: The request is not valid. `unplaceable`: No node in sight could ever run this job. */
        "invalid.unplaceable": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 422;
                    /** @enum {string} */
                    code?: "invalid" | "unplaceable";
                };
            };
        };
        /** @description `upgrade-required`: Open this path as a WebSocket. */
        "upgrade-required": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 426;
                    /** @enum {string} */
                    code?: "upgrade-required";
                };
            };
        };
        /** @description `too-many-streams`: Too many streams are open. `rate-limited`: Too many requests. */
        "too-many-streams.rate-limited": {
            headers: {
                /** @description Seconds to wait. */
                "Retry-After"?: number;
                /** @description Of `rate-limited`: how many (q) in how many seconds (w). */
                "RateLimit-Policy"?: string;
                /** @description Of `rate-limited`: how many are left (r) for how many seconds (t). */
                RateLimit?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 429;
                    /** @enum {string} */
                    code?: "too-many-streams" | "rate-limited";
                };
            };
        };
        /** @description `job-not-found`: No such job. `pod-not-found`: No such workload. */
        "job-not-found.pod-not-found": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 404;
                    /** @enum {string} */
                    code?: "job-not-found" | "pod-not-found";
                };
            };
        };
        /** @description `already-finished`: The job has finished. `not-running`: No attempt of the job is under way. */
        "already-finished.not-running": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 409;
                    /** @enum {string} */
                    code?: "already-finished" | "not-running";
                };
            };
        };
        /** @description `rate-limited`: Too many requests. `disruption-budget`: A disruption budget refuses this now. */
        "rate-limited.disruption-budget": {
            headers: {
                /** @description Seconds to wait. */
                "Retry-After"?: number;
                /** @description Of `rate-limited`: how many (q) in how many seconds (w). */
                "RateLimit-Policy"?: string;
                /** @description Of `rate-limited`: how many are left (r) for how many seconds (t). */
                RateLimit?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 429;
                    /** @enum {string} */
                    code?: "rate-limited" | "disruption-budget";
                };
            };
        };
        /** @description `not-found`: There is nothing here. `node-not-found`: No such node. */
        "not-found.node-not-found": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 404;
                    /** @enum {string} */
                    code?: "not-found" | "node-not-found";
                };
            };
        };
        /** @description `draining`: The node is draining. `overloaded`: The node is overloaded. */
        "draining.overloaded": {
            headers: {
                /** @description Seconds to wait. */
                "Retry-After"?: number;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 503;
                    /** @enum {string} */
                    code?: "draining" | "overloaded";
                };
            };
        };
        /** @description `draining`: The node is draining. */
        draining: {
            headers: {
                /** @description Seconds to wait. */
                "Retry-After"?: number;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 503;
                    /** @enum {string} */
                    code?: "draining";
                };
            };
        };
        /** @description `not-found`: There is nothing here. `token-not-found`: No such token. */
        "not-found.token-not-found": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 404;
                    /** @enum {string} */
                    code?: "not-found" | "token-not-found";
                };
            };
        };
        /** @description `not-configured`: This feature is not switched on here. */
        "not-configured": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 404;
                    /** @enum {string} */
                    code?: "not-configured";
                };
            };
        };
        /** @description `not-found`: There is nothing here. */
        "not-found": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 404;
                    /** @enum {string} */
                    code?: "not-found";
                };
            };
        };
        /** @description `not-found`: There is nothing here. `secret-not-found`: No such secret. */
        "not-found.secret-not-found": {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @constant */
                    status?: 404;
                    /** @enum {string} */
                    code?: "not-found" | "secret-not-found";
                };
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    scheduleJob: {
        parameters: {
            query?: {
                /** @description Explains where the job would run, and stores nothing. */
                dryRun?: boolean;
                /** @description Refuse where an unfinished job has the same name. */
                unique?: "name";
            };
            header?: {
                /** @description Replays the first answer to the same body; quoted or bare, the same key. */
                "idempotency-key"?: string;
                /** @description W3C trace context; the job gets it. What is none is left out of account. */
                traceparent?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["JobSpec"];
            };
        };
        responses: {
            /** @description A dry run: the placement, explained. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Placement"];
                };
            };
            /** @description Accepted; on disk. */
            202: {
                headers: {
                    /** @description The path of the job. */
                    location?: string;
                    /** @description `true` where this is the first answer, given again to its Idempotency-Key. */
                    "idempotency-replayed"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden.policy-denied"];
            408: components["responses"]["timeout"];
            409: components["responses"]["name-in-use.idempotency-in-flight"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid.unplaceable.idempotency-mismatch"];
            429: components["responses"]["rate-limited.quota-exceeded"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    listJobs: {
        parameters: {
            query?: {
                /** @description One state, or several with commas. */
                state?: string;
                /** @description key=value, or several with commas: all must match. */
                label?: string;
                /** @description Jobs of exactly this name. */
                name?: string;
                /** @description Only the admin scope sees other tenants. */
                tenant?: string;
                /** @description Most items in the answer. */
                limit?: number;
                /** @description As the page before gave it. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Jobs, newest first. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Job"][];
                        cursor: string | null;
                    };
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    getJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The job. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found.job-not-found"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    cancelJob: {
        parameters: {
            query?: {
                /** @description Removes a finished job with its log, for good: 204. */
                purge?: boolean;
                /** @description Stands in the job and the audit. */
                reason?: string;
                /** @description Seconds between TERM and KILL. */
                gracePeriodSeconds?: number;
            };
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Cancelled, or being ended. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description Removed. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found.job-not-found"];
            408: components["responses"]["timeout"];
            409: components["responses"]["already-finished.not-finished"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    rerunJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A new job, queued. */
            202: {
                headers: {
                    /** @description The path of the job. */
                    location?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden.policy-denied"];
            404: components["responses"]["not-found.job-not-found"];
            408: components["responses"]["timeout"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid.unplaceable"];
            429: components["responses"]["rate-limited.quota-exceeded"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    streamJob: {
        parameters: {
            query?: {
                /** @description First seq wanted, inclusive; up to lastSeq + 1. */
                from?: number;
                /** @description Only the last N log frames, then what follows. */
                tail?: number;
            };
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Switching to WebSocket. */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Each message of the WebSocket. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Frame"];
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found.job-not-found"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            426: components["responses"]["upgrade-required"];
            429: components["responses"]["too-many-streams.rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    followJob: {
        parameters: {
            query?: {
                /** @description First seq wanted, inclusive; up to lastSeq + 1. */
                from?: number;
                /** @description Only the last N log frames, then what follows. */
                tail?: number;
            };
            header?: {
                /** @description The seq of the last frame that was seen; the answer goes on behind it. */
                "last-event-id"?: string;
            };
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Events, each of this form. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": {
                        /** @description The seq of the frame; a heartbeat has none. */
                        id?: string;
                        /** @description A Frame as JSON. */
                        data: string;
                    };
                };
            };
            /** @description Nothing will follow. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found.job-not-found"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["too-many-streams.rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    readJobLogs: {
        parameters: {
            query?: {
                /** @description Goes on until the job has ended. */
                follow?: boolean;
                /** @description Only the last N lines. */
                tail?: number;
                /** @description Only this attempt. */
                attempt?: number;
            };
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description stdout and stderr as they came. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found.job-not-found"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["too-many-streams.rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    listPods: {
        parameters: {
            query?: {
                /** @description Workloads of this runtime. */
                runtime?: string;
                /** @description Id or name of a node, or `local`. */
                node?: string;
                /** @description Workloads of this job. */
                jobId?: string;
                /** @description This node, or all in sight. */
                scope?: "local" | "mesh";
                /** @description Most items in the answer. */
                limit?: number;
                /** @description As the page before gave it. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Workloads, by name. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Pod"][];
                        cursor: string | null;
                    };
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    evict: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    pod?: string;
                    namespace?: string | null;
                    jobId?: string;
                    reason?: string;
                    /** @default 10 */
                    gracePeriodSeconds?: number;
                    /** @default true */
                    requeue?: boolean;
                };
            };
        };
        responses: {
            /** @description The attempt is being ended. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        jobId: string | null;
                        pod: string | null;
                    };
                };
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden.policy-denied"];
            404: components["responses"]["job-not-found.pod-not-found"];
            408: components["responses"]["timeout"];
            409: components["responses"]["already-finished.not-running"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited.disruption-budget"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    listNodes: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Nodes. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Node"][];
                        cursor: string | null;
                    };
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    drainNode: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description A node id, its name, or `local`. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The node, draining or drained. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Node"];
                };
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found.node-not-found"];
            408: components["responses"]["timeout"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    undrainNode: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description A node id, its name, or `local`. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The node, ready. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Node"];
                };
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found.node-not-found"];
            408: components["responses"]["timeout"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    listQueue: {
        parameters: {
            query?: {
                /** @description Most items in the answer. */
                limit?: number;
                /** @description As the page before gave it. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The queue, first to be tried first. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["QueueItem"][];
                        cursor: string | null;
                    };
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description How the node is. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            400: components["responses"]["bad-request"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.overloaded"];
        };
    };
    getLive: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It answers. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @enum {boolean} */
                        live: true;
                    };
                };
            };
            400: components["responses"]["bad-request"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining"];
        };
    };
    getReady: {
        parameters: {
            query?: {
                /** @description Tells each check; `?verbose` is enough. */
                verbose?: boolean | "";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It takes jobs. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        ready: boolean;
                        checks?: {
                            name: string;
                            ok: boolean;
                            message: string | null;
                        }[];
                    };
                };
            };
            400: components["responses"]["bad-request"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            422: components["responses"]["invalid"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            /** @description It takes none now. Or `draining`: The node is draining. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        ready: boolean;
                        checks?: {
                            name: string;
                            ok: boolean;
                            message: string | null;
                        }[];
                    };
                    "application/problem+json": components["schemas"]["Problem"] & {
                        /** @constant */
                        status?: 503;
                        /** @enum {string} */
                        code?: "draining";
                    };
                };
            };
        };
    };
    listTokens: {
        parameters: {
            query?: {
                /** @description Only those of this tenant. */
                tenant?: string;
                /** @description true: only tokens in force; false: only those that expired or were revoked. */
                active?: boolean;
                /** @description Most items in the answer. */
                limit?: number;
                /** @description As the page before gave it. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of tokens. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Token"][];
                        cursor: string | null;
                    };
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    createToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TokenRequest"];
            };
        };
        responses: {
            /** @description The token; its text is shown this once. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewToken"];
                };
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    revokeToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a token. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Revoked. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found.token-not-found"];
            408: components["responses"]["timeout"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    rotateLocalToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The new token. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LocalToken"];
                };
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-configured"];
            408: components["responses"]["timeout"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    listSecrets: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Names, with where each comes from. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: {
                            name: string;
                            source: string;
                            updatedAt: string | null;
                        }[];
                        cursor: null;
                    };
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    setSecret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The name of a secret. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    value: string;
                };
            };
        };
        responses: {
            /** @description Stored, encrypted. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found"];
            408: components["responses"]["timeout"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    removeSecret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The name of a secret. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Removed. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found.secret-not-found"];
            408: components["responses"]["timeout"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    backup: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @description An absolute path that does not exist yet. */
                    file: string;
                };
            };
        };
        responses: {
            /** @description The copy is whole and in its place. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        file: string;
                        bytes: number;
                    };
                };
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-configured"];
            408: components["responses"]["timeout"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    listAudit: {
        parameters: {
            query?: {
                /** @description Changes by tokens of this tenant. */
                tenant?: string;
                /** @description Such as `job.cancel`. */
                action?: string;
                /** @description The id of a token. */
                actor?: string;
                /** @description The id or name of what was changed. */
                subject?: string;
                /** @description At or after this time. */
                since?: string;
                /** @description Before this time. */
                until?: string;
                /** @description At most so many entries. */
                limit?: number;
                /** @description As the page before gave it. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Entries, newest first. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["AuditEntry"][];
                        cursor: string | null;
                    };
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    verifyAudit: {
        parameters: {
            query?: {
                /** @description SEQ:HASH of an entry: what one keeps elsewhere to find out later that the newest were cut off. */
                expect?: components["schemas"]["AuditAnchor"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What was found. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditVerdict"];
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    getPolicies: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What is in force. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyStatus"];
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    explainPolicies: {
        parameters: {
            query?: {
                /** @description For a job of this tenant; others than the own only with the scope admin. */
                tenant?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["JobSpec"];
            };
        };
        responses: {
            /** @description The checks. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyExplanation"];
                };
            };
            400: components["responses"]["malformed.bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            413: components["responses"]["too-large"];
            415: components["responses"]["unsupported-media-type"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    listJobWebhooks: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Callbacks, oldest first. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["WebhookDelivery"][];
                        cursor: string | null;
                    };
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found.job-not-found"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    readWebhookSecret: {
        parameters: {
            query?: {
                /** @description Default: the token's own. */
                tenant?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The key. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookSecret"];
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            422: components["responses"]["invalid"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    getOpenapi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OpenAPI 3.1. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: unknown;
                    };
                };
            };
            400: components["responses"]["bad-request"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.overloaded"];
        };
    };
    getAsyncapi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description AsyncAPI 3. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: unknown;
                    };
                };
            };
            400: components["responses"]["bad-request"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.overloaded"];
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The exposition. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            400: components["responses"]["bad-request"];
            401: components["responses"]["unauthorized"];
            403: components["responses"]["forbidden"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.issuer-unavailable.overloaded.storage-unavailable"];
        };
    };
    getErrors: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
            400: components["responses"]["bad-request"];
            408: components["responses"]["timeout"];
            417: components["responses"]["expectation-failed"];
            421: components["responses"]["misdirected-request"];
            429: components["responses"]["rate-limited"];
            431: components["responses"]["headers-too-large"];
            500: components["responses"]["internal"];
            503: components["responses"]["draining.overloaded"];
        };
    };
    jobEnded: {
        parameters: {
            query?: never;
            header: {
                /** @description The same at every try. */
                "webhook-id": string;
                /** @description Of this try, in seconds since the epoch. */
                "webhook-timestamp": number;
                /** @description `v1,` and HMAC-SHA-256 of id, timestamp and body, in base64. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WebhookEvent"];
            };
        };
        responses: {
            /** @description Taken: it is delivered. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description It is sent again later, and Retry-After is honoured; 410: it is not sent again. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
}
