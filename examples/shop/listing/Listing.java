import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

import static java.nio.charset.StandardCharsets.UTF_8;

/**
 * listing: the items that match, with names and prices.
 *
 * <pre>
 * GET /listing?q=WORDS   asks search which items match
 * GET /health            200 when ready
 * </pre>
 */
public final class Listing {
    private static final String SERVICE = setting("OUTRIGGER_SERVICE", "listing");
    private static final String INSTANCE = setting("OUTRIGGER_INSTANCE", SERVICE);
    private static final int CALL_TIMEOUT_MS = 5_000;
    private static final int DRAIN_MS = 900;

    /** More than can be in flight: a stop takes all permits to know that nothing is. */
    private static final int PERMITS = 100_000;
    private static final Semaphore IN_FLIGHT = new Semaphore(PERMITS);
    private static volatile boolean draining;

    private static final Map<String, String> OFFERS = Map.of(
            "paddle", offer("paddle", "Ash paddle", 6400),
            "lantern", offer("lantern", "Storm lantern", 3850),
            "rope", offer("rope", "Mooring rope, 12 m", 2100),
            "compass", offer("compass", "Deck compass", 8900),
            "kettle", offer("kettle", "Galley kettle", 4500),
            "buoy", offer("buoy", "Net buoy", 1750),
            "chart", offer("chart", "Coastal chart", 1200),
            "anchor", offer("anchor", "Folding anchor", 5400));

    private final String search;

    private Listing(String search) {
        this.search = search;
    }

    private static String offer(String id, String name, int cents) {
        return "{\"id\": \"" + id + "\", \"name\": \"" + name + "\", \"cents\": " + cents + "}";
    }

    private static String setting(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    private static String needed(String name, String meaning) {
        String value = setting(name, "");
        if (value.isEmpty()) {
            System.err.println("listing: " + name + " is not set; it names " + meaning);
            System.exit(2);
        }
        return value;
    }

    public static void main(String[] arguments) throws IOException {
        // The server's defaults are for browsers: it delays small answers (Nagle) and closes
        // connections that idle for 30 s, which callers with a pool would race against.
        System.setProperty("sun.net.httpserver.nodelay", "true");
        System.setProperty("sun.net.httpserver.idleInterval", "300");
        System.setProperty("sun.net.httpserver.maxIdleConnections", "1000");
        // The client keeps five connections by default, and sends a failed POST again by itself.
        System.setProperty("http.maxConnections", "128");
        System.setProperty("sun.net.http.retryPost", "false");

        int port = Integer.parseInt(needed("PORT", "the port to listen on"));
        Listing listing = new Listing(needed("SEARCH_URL", "the address of search"));
        InetAddress loopback = InetAddress.getByAddress(new byte[] {127, 0, 0, 1});
        HttpServer server = HttpServer.create(new InetSocketAddress(loopback, port), 256);
        server.createContext("/health", counted(exchange -> answer(exchange, 200, "text/plain", "ok\n")));
        server.createContext("/listing", counted(listing::list));
        server.createContext("/", counted(exchange ->
                answer(exchange, 404, "application/json", "{\"error\": \"there is nothing here\"}")));
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> drain(server)));
        System.out.println(INSTANCE + ": listening on 127.0.0.1:" + port);
    }

    private void list(HttpExchange exchange) throws IOException {
        String query = exchange.getRequestURI().getRawQuery();
        try {
            // The query is passed on as it came: q means the same to both.
            HttpURLConnection call = open("/search" + (query == null ? "" : "?" + query), exchange);
            int status = call.getResponseCode();
            InputStream stream = status < 400 ? call.getInputStream() : call.getErrorStream();
            // Read to the end even when it failed, so that the connection can be used again.
            String body = stream == null ? "" : new String(stream.readAllBytes(), UTF_8);
            if (stream != null) {
                stream.close();
            }
            if (status != 200) {
                failed(exchange, status, "search answered " + status);
                return;
            }
            answer(exchange, 200, "application/json", found(call.getHeaderField("Shop-Instance"), body));
        } catch (IOException error) {
            failed(exchange, 502, "search did not answer: " + error.getClass().getSimpleName());
        }
    }

    /** A call on behalf of this exchange: it carries the trace on, and nothing else. */
    private HttpURLConnection open(String path, HttpExchange exchange) throws IOException {
        HttpURLConnection call = (HttpURLConnection) URI.create(search + path).toURL().openConnection();
        call.setConnectTimeout(CALL_TIMEOUT_MS);
        call.setReadTimeout(CALL_TIMEOUT_MS);
        String trace = exchange.getRequestHeaders().getFirst("traceparent");
        if (trace != null) {
            call.setRequestProperty("traceparent", trace);
        }
        return call;
    }

    private static String found(String searcher, String lines) {
        List<String> ids = lines.lines().collect(Collectors.toList());
        String offers = ids.stream().map(OFFERS::get).filter(offer -> offer != null).collect(Collectors.joining(", "));
        return "{\"instance\": \"" + INSTANCE + "\", \"search\": \"" + (searcher == null ? "" : searcher)
                + "\", \"items\": [" + offers + "]}";
    }

    private static void failed(HttpExchange exchange, int status, String why) throws IOException {
        int mine = status == 503 || status == 429 ? 503 : 502;
        answer(exchange, mine, "application/json", "{\"instance\": \"" + INSTANCE + "\", \"error\": \"" + why + "\"}");
    }

    private static void answer(HttpExchange exchange, int status, String kind, String text) throws IOException {
        byte[] body = text.getBytes(UTF_8);
        Headers head = exchange.getResponseHeaders();
        head.set("Content-Type", kind);
        head.set("Shop-Instance", INSTANCE);
        if (draining) {
            head.set("Connection", "close");
        }
        if (exchange.getRequestMethod().equals("HEAD")) {
            head.set("Content-Length", Integer.toString(body.length));
            exchange.sendResponseHeaders(status, -1);
            return;
        }
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
    }

    private interface Answer {
        void to(HttpExchange exchange) throws IOException;
    }

    private static com.sun.net.httpserver.HttpHandler counted(Answer answer) {
        return exchange -> {
            IN_FLIGHT.acquireUninterruptibly();
            try (exchange) {
                answer.to(exchange);
            } finally {
                IN_FLIGHT.release();
            }
        };
    }

    /** On SIGTERM: requests in flight are answered, then we leave with 0 (a JVM would say 143). */
    private static void drain(HttpServer server) {
        draining = true;
        try {
            IN_FLIGHT.tryAcquire(PERMITS, DRAIN_MS, TimeUnit.MILLISECONDS);
        } catch (InterruptedException stopNow) {
            Thread.currentThread().interrupt();
        }
        server.stop(0);
        Runtime.getRuntime().halt(0);
    }
}
