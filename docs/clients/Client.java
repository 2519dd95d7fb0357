// A resumable session with java.net.http (Java 17). Run: java Client.java "ws://127.0.0.1:8000/ws?id=ada"
//
// A refused dial is a WebSocketHandshakeException, the cause of the ExecutionException. It answers Pings, and hands out
// messages and close codes, only after request(1): ask in onOpen and after each message.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;

public class Client {
    static final Set<Integer> OVER = Set.of(1000, 4100, 4101, 4403, 4409);

    static class Session implements WebSocket.Listener {
        final CompletableFuture<Integer> ended = new CompletableFuture<>();
        final StringBuilder text = new StringBuilder();

        @Override public void onOpen(WebSocket socket) {
            socket.request(1);
        }

        @Override public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
            text.append(data);
            if (last) {
                // Any JSON library does better.
                System.out.println("message " + text.toString().replaceAll(".*\"payload\": ?\"([^\"]*)\".*", "$1"));
                text.setLength(0);
            }
            socket.request(1);
            return null;
        }

        @Override public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
            ended.complete(code);
            return null;
        }

        @Override public void onError(WebSocket socket, Throwable error) {
            ended.complete(1006);
        }
    }

    public static void main(String[] arguments) throws Exception {
        HttpClient http = HttpClient.newHttpClient();
        String resume = "";
        double pause = 0.25;
        while (true) {
            double wait = pause * (0.5 + Math.random());
            Session session = new Session();
            try {
                WebSocket socket = http.newWebSocketBuilder().buildAsync(URI.create(arguments[0] + resume), session).get();
                System.out.println("open");
                resume = "&resume=true";
                pause = 0.25;
                socket.sendText("{\"event\":\"say\",\"payload\":\"hello\"}", true);
                int code = session.ended.get();
                if (OVER.contains(code)) {
                    System.out.println("verdict " + code);
                    return;
                }
            } catch (ExecutionException failed) {
                if (failed.getCause() instanceof WebSocketHandshakeException refused) {
                    int status = refused.getResponse().statusCode();
                    if (status >= 400 && status < 500 && status != 429) {
                        System.out.println("verdict " + status);
                        return;
                    }
                    wait = Math.max(wait, refused.getResponse().headers().firstValueAsLong("Retry-After").orElse(0));
                }
            }
            pause = Math.min(pause * 2, 30);
            System.out.println("wait " + Math.round(wait * 10) / 10.0);
            Thread.sleep((long) (wait * 1000));
        }
    }
}
